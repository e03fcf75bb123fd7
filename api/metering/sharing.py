"""Keys of sharing as a form holds them, a line for each who gets something, and as a page shows them, by version."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby

from api.problems import SHOWN_CHARS_MAX, Problem
from kraj.meters import is_ean
from kraj.store.meters import Allocation

LINE = re.compile(r"((?:[0-9][ \u00a0]?){18})[;:, \t\u00a0]*(?<![0-9])([0-9]{1,3}(?:[.,][0-9]{1,3})?)[ \u00a0]?%?")


@dataclass(frozen=True, slots=True)
class Version:
    """What holds from a day on: EANs with their shares in per cent."""

    since: date
    source: str
    who: str
    shares: tuple[tuple[str, Decimal], ...]

    @property
    def rest(self) -> Decimal:
        """What nobody gets, in per cent."""
        return 100 - sum((share for _, share in self.shares), Decimal(0))

    @property
    def lines(self) -> str:
        """As the form holds them."""
        return "\n".join(f"{ean} {share.normalize():f}" for ean, share in self.shares)


def versions(rows: Iterable[Allocation]) -> list[Version]:
    """Newest first; shares as they were written."""
    ordered = sorted(rows, key=lambda row: (row.valid_from, row.allocation_key_id))
    found: list[Version] = []
    for since, group in groupby(ordered, key=lambda row: row.valid_from):
        each = list(group)
        shares = tuple((row.ean_to, Decimal(row.share_pct)) for row in each)
        found.append(Version(since, each[0].source, each[0].who, shares))
    return found[::-1]


def shares(text: str, own: str) -> list[dict[str, str]]:
    """The lines of a form. Raises ``Problem``: ``shares_line``, ``shares_twice``, ``allocation_sum``."""
    found: dict[str, Decimal] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        ean = re.sub(r"[ \u00a0]", "", match[1]) if match else ""
        if match is None or not is_ean(ean):
            raise Problem("shares_line", 400, line=number, text=line.strip()[:SHOWN_CHARS_MAX])
        if ean in found or ean == own:
            raise Problem("shares_twice", 400, ean=ean)
        found[ean] = Decimal(match[2].replace(",", "."))
    if sum(found.values()) > 100:
        raise Problem("allocation_sum", 400)
    return [{"ean": ean, "share_pct": str(share)} for ean, share in found.items()]
