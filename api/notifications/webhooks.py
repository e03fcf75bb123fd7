"""Alerts for other systems, signed as Standard Webhooks has it: ``webhook+https://host/path``.

``webhook+http://`` is taken for this machine and private networks only, where a receiver often has no certificate: the
signature says who sends, but without TLS everybody on the way reads what is sent.
"""

import base64
import json
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from standardwebhooks import Webhook

from api.alert_schemas import Alert, alert
from api.formats import iso
from api.notifications.inside import inside
from api.notifications.wordings import test_message
from api.texts import catalogues
from api.told import Teller
from kraj.alerts import Step
from kraj.store import queries
from kraj.store.outbox import Address
from rules.rule import Rule

SCHEMES = {"webhook+https": "https", "webhook+http": "http"}
PREFIX = "whsec_"
SECRET_BYTES = 32
"""The specification asks for 24 to 64."""
SEND_S_MAX = 10.0
ANSWER_BYTES_MAX = 4096
ERROR_CHARS_MAX = 300
TEST = "kraj.test"


def known(url: str) -> bool:
    """Whether this is a webhook's address, a whole one, and one where plain HTTP may be."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.hostname or (parts.port or 1) <= 0:
            return False
    except ValueError:
        return False
    return SCHEMES[parts.scheme] == "https" or inside(url)


def new_secret() -> str:
    """A secret as receivers take it: ``whsec_`` and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def event(kind: str, at: datetime, content: Mapping[str, Any]) -> str:
    """The body: what happened, when, and what it is about."""
    said = {"type": kind, "timestamp": iso(at), "data": content}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


class Events:
    """Makes bodies of alerts as the API shows them."""

    def __init__(self) -> None:
        self._texts = catalogues()
        self._teller = Teller()

    def alert(
        self, row: queries.AlertRow, step: Step, at: datetime, *, link: str, language: str, own: Mapping[str, Rule]
    ) -> str:
        """A step of an alert; ``own`` are municipalities' rules by name."""
        shown = Alert(**alert(row, self._teller.with_own(own), self._texts[language]))
        return event(f"alert.{step}", at, {**json.loads(shown.model_dump_json()), "link": link})


def test_event(language: str, at: datetime) -> str:
    """A body that tries a receiver out."""
    subject, text = test_message(language)
    return event(TEST, at, {"title": subject, "text": text})


def post(address: Address, message_id: str, body: str) -> str | None:
    """Post, signed with each secret, and wait; None when it is taken, else what went wrong.

    The time of the signature is real time, by which the receiver judges it, whatever the region's clock says. A
    redirect is not followed: the signature is for the receiver of this address.
    """
    at = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "accept-encoding": "identity",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(one).sign(message_id, at, body) for one in address.secrets),
    }
    parts = urlsplit(address.url)
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    host = parts.netloc.rpartition("@")[2]
    target = parts._replace(scheme=SCHEMES[parts.scheme], netloc=host, fragment="").geturl()
    try:
        with (
            httpx.Client(timeout=SEND_S_MAX, auth=auth, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", target, content=body.encode(), headers=headers) as answer,
        ):
            if answer.is_success:
                return None
            if answer.is_redirect:
                return f"the receiver answers {answer.status_code}: redirects are not followed, write the new address"
            return f"the receiver answers {answer.status_code}: {_beginning(answer)}"[:ERROR_CHARS_MAX]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{type(error).__name__}: {error}".replace(target, "…")[:ERROR_CHARS_MAX]


def _beginning(answer: httpx.Response) -> str:
    """The first bytes of an answer, as text on one line; a receiver that dribbles is left alone in time."""
    found = b""
    until = time.monotonic() + SEND_S_MAX
    for part in answer.iter_raw(ANSWER_BYTES_MAX):
        found += part
        if len(found) >= ANSWER_BYTES_MAX or time.monotonic() > until:
            break
    return " ".join(found[:ANSWER_BYTES_MAX].decode("utf-8", "replace").split())
