"""Messages of foreign devices for the ring that people look at: raw, what was read from each, and the verdict."""

from collections import defaultdict
from typing import Any

from ingest.foreign.translating import Said
from kraj.quarantine import Rejection
from kraj.store.foreign import ForeignMessage


def messages(
    taken: list[tuple[str, bytes, int]], said: dict[int, Said], rejections: list[Rejection]
) -> list[ForeignMessage]:
    """One row a message whose device is known and that is of interest to anybody."""
    if not said:
        return []
    refused: defaultdict[int, list[Rejection]] = defaultdict(list)
    for rejection in rejections:
        refused[rejection.message].append(rejection)
    out: list[ForeignMessage] = []
    for position, found in said.items():
        if found.route is None or found.silent:
            continue
        verdict, reasons = _verdict(found, refused[position])
        topic, payload, _ = taken[position]
        route = found.route
        out.append(
            ForeignMessage(
                route.device_id, route.municipality_id, topic, payload, found.readings, verdict, reasons, position
            )
        )
    return out


def _verdict(said: Said, rejections: list[Rejection]) -> tuple[str, list[dict[str, Any]]]:
    reasons: list[dict[str, Any]] = [
        {"reason": r.reason, "detail": r.detail} | ({"metric": r.metric} if r.metric else {}) for r in rejections
    ]
    reasons += [{"detail": note} for note in said.notes]
    whole = sum(not r.of_value for r in rejections)
    if said.refusal is not None or (said.readings and whole >= len(said.readings)):
        return "refused", reasons
    if said.status is not None:
        return "online" if said.status.online else "offline", reasons
    if said.ignored is not None:
        return "ignored", [{"detail": said.ignored}, *reasons]
    return ("partly" if rejections else "stored"), reasons
