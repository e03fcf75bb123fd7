"""Why something was not taken as a reading: stable reason codes with a sentence for people."""

from dataclasses import dataclass

from kraj.metrics import Title

PAYLOAD_BYTES_MAX = 65_536
"""A list of 64 lamp readings with every metric set stays below this; kinds with more metrics fit some 40."""
PAYLOAD_KEPT_BYTES_OVERSIZED = 4096
"""What is kept of a payload over the limit: enough to see who speaks what."""
DETAIL_CHARS_MAX = 300

REASONS: dict[str, Title] = {
    "topic": Title(
        cs="Téma neodpovídá tvaru kraj/obec/zařízení/kanál.",
        en="The topic does not have the form kraj/municipality/device/channel.",
    ),
    "unknown_device": Title(
        cs="Zařízení není v evidenci; zaregistrujte je a zprávy se převezmou.",
        en="The device is not registered; register it and its messages are taken in.",
    ),
    "municipality": Title(
        cs="Zařízení se hlásí pod jinou obcí, než kde je zaregistrováno.",
        en="The device speaks under another municipality than it was enrolled in.",
    ),
    "suspended": Title(
        cs="Zařízení je pozastaveno nebo vyřazeno.",
        en="The device is suspended or decommissioned.",
    ),
    "revoked": Title(
        cs="Certifikát zařízení byl zneplatněn; vydejte mu nový kód, nebo je vyřaďte.",
        en="The device's certificate was revoked; give it a new code, or decommission it.",
    ),
    "not_installed": Title(
        cs="Zařízení není přiřazeno k žádnému prvku.",
        en="The device is not installed on any asset.",
    ),
    "channel": Title(
        cs="Zařízení nemá na tomto kanálu žádný prvek.",
        en="The device serves no asset on this channel.",
    ),
    "too_large": Title(
        cs="Zpráva je delší než 64 KiB; posílejte méně měření najednou.",
        en="The message is longer than 64 KiB; send fewer readings at once.",
    ),
    "not_utf8": Title(cs="Zpráva není platné UTF-8.", en="The message is not valid UTF-8."),
    "not_json": Title(cs="Zpráva není platný JSON.", en="The message is not valid JSON."),
    "too_deep": Title(
        cs="JSON je příliš zanořený; měření je plochý objekt.", en="The JSON is nested too deeply; a reading is flat."
    ),
    "shape": Title(
        cs="Čekáme jedno měření (objekt) nebo seznam nejvýše 64 měření.",
        en="One reading (an object) or a list of at most 64 readings is expected.",
    ),
    "core": Title(
        cs="Chybný údaj ts, boot, seq, uptime_ms, channel nebo event; bez něj nelze měření zařadit.",
        en="A wrong ts, boot, seq, uptime_ms, channel or event; the reading cannot be placed without it.",
    ),
    "time_missing": Title(
        cs="Chybí čas: pošlete ts, nebo boot a uptime_ms.",
        en="The time is missing: send ts, or boot and uptime_ms.",
    ),
    "time_past": Title(
        cs="Čas je starší než 400 dní; zkontrolujte hodiny zařízení.",
        en="The time is more than 400 days ago; check the device's clock.",
    ),
    "time_future": Title(
        cs="Čas je více než 10 minut v budoucnosti; zkontrolujte hodiny zařízení.",
        en="The time is more than 10 minutes ahead; check the device's clock.",
    ),
    "flood": Title(
        cs="Zařízení posílá příliš rychle; nadbytek se nepřijímá a nepotvrzuje.",
        en="The device sends too fast; the excess is neither taken nor acknowledged.",
    ),
    "value_type": Title(
        cs="Hodnota má nesprávný typ; ostatní hodnoty měření byly uloženy.",
        en="The value has the wrong type; the other values of the reading were stored.",
    ),
    "value_impossible": Title(
        cs="Hodnota je mimo fyzikálně možné meze; ostatní hodnoty byly uloženy.",
        en="The value is outside what is possible; the other values were stored.",
    ),
    "value_ambiguous": Title(
        cs="Údaj je ve zprávě dvakrát s různou hodnotou; ostatní hodnoty byly uloženy.",
        en="The key stands twice with different values; the other values were stored.",
    ),
    "foreign_device": Title(
        cs="Zařízení je v evidenci, ale není řečeno, jaký cizí systém používá; zvolte jej na stránce Cizí zařízení.",
        en="The device is registered, but nobody has said which system it speaks; choose it under Foreign devices.",
    ),
    "foreign_message": Title(
        cs="Zpráva není taková, jakou zvolený systém posílá.",
        en="The message is not what the chosen system sends.",
    ),
    "foreign_mapping": Title(
        cs="Mapování ke zprávě nesedí.",
        en="The mapping does not fit the message.",
    ),
    "database": Title(
        cs="Databáze řádek odmítla.",
        en="The database refused the row.",
    ),
    "internal": Title(
        cs="Zprávu se nepodařilo zpracovat naší chybou; je uložena a převezme se po opravě.",
        en="The message could not be handled because of our own fault; it is kept and taken in once that is mended.",
    ),
}
"""Reason code to a sentence; a code is a promise (it is counted and shown), so codes are only added."""

VALUE_REASONS = frozenset({"value_type", "value_impossible", "value_ambiguous"})
"""Reasons that cost one value and not its reading; they are counted apart."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused message, reading or value.

    ``message`` is the position of its message in the batch; ``boot`` and ``seq`` are known where they
    could be read; ``metric`` is set when only this value is refused.
    """

    message: int
    reason: str
    detail: str
    boot: int | None = None
    seq: int | None = None
    metric: str | None = None

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise ValueError(f"unknown quarantine reason {self.reason!r}")
        object.__setattr__(self, "detail", printable(self.detail[:DETAIL_CHARS_MAX]))

    @property
    def of_value(self) -> bool:
        return self.reason in VALUE_REASONS


def printable(text: str) -> str:
    """The text without what a terminal or PostgreSQL would choke on (NUL, lone surrogates, controls)."""
    return "".join(c if c.isprintable() else "�" for c in text)
