"""Telling devices which of their readings are safe: committed, duplicate, or kept in quarantine."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from ingest import packets
from ingest.decode import Decoded, Message
from ingest.routes import Routes
from kraj import topics, wire
from kraj.errors import PayloadError
from kraj.topics import Channel, Topic

UNACKNOWLEDGED_REASONS = frozenset({"flood", "internal"})
"""Readings refused for these stay with the device: it slows down, or we mend our fault."""

NOT_NUMBERED = 0
"""Devices count from 1."""


def ack_packets(
    messages: list[Message],
    decoded: Decoded,
    routes: Routes,
    not_stored: set[int],
    rows_lost: Iterable[tuple[int, int]] = (),
) -> tuple[bytes, int]:
    """All ``ack`` publishes of a committed batch as one run of bytes, and how many they are.

    ``not_stored`` are positions in ``decoded.rejections`` that are not kept, hence not acknowledged; ``rows_lost`` are
    (position in ``decoded.readings``, row) that the database refused and that are not kept either. A reading that only
    lost single values is committed, hence acknowledged with its readings.
    """
    route = [decoded.routes[r.message] for r in decoded.readings]
    boot = [r.boot for r in decoded.readings]
    seq = [r.seq for r in decoded.readings]
    for position, row in rows_lost:
        if seq[position] is decoded.readings[position].seq:
            seq[position] = seq[position].copy()
        seq[position][row] = NOT_NUMBERED
    strangers: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    refused: list[tuple[int, int, int]] = []
    for position, rejection in enumerate(decoded.rejections):
        if (
            rejection.seq is None
            or rejection.seq <= NOT_NUMBERED
            or rejection.of_value
            or rejection.reason in UNACKNOWLEDGED_REASONS
            or position in not_stored
        ):
            continue
        index = int(decoded.routes[rejection.message])
        number = -1 if rejection.boot is None else rejection.boot
        if index >= 0:
            refused.append((index, number, rejection.seq))
        else:
            strangers[messages[rejection.message][0], number].append(rejection.seq)
    if refused:
        extra = np.array(refused, np.int64)
        route, boot, seq = [*route, extra[:, 0]], [*boot, extra[:, 1]], [*seq, extra[:, 2]]
    out: list[bytes] = []
    if route:
        _known(np.concatenate(route), np.concatenate(boot), np.concatenate(seq), routes, out)
    for (topic, number), seqs in strangers.items():
        try:
            parsed = topics.parse(topic)
        except PayloadError:
            continue
        head = packets.publish_head(str(Topic(parsed.municipality, parsed.device, Channel.ACK)))
        out.append(packets.publish(head, wire.encode_ack(number, seqs)))
    return b"".join(out), len(out)


def leave_out(decoded: Decoded, messages: set[int], not_stored: set[int], rows_lost: list[tuple[int, int]]) -> None:
    """Foreign devices do not know ``ack``: add what these messages held to what is not acknowledged."""
    not_stored |= {n for n, rejection in enumerate(decoded.rejections) if rejection.message in messages}
    for position, readings in enumerate(decoded.readings):
        foreign = np.isin(readings.message, list(messages))
        rows_lost += [(position, int(row)) for row in np.flatnonzero(foreign)]


def _known(
    route: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    boot: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    seq: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    routes: Routes,
    out: list[bytes],
) -> None:
    """Join numbers into closed ranges, all devices at once; then one packet a device and boot."""
    numbered = seq > NOT_NUMBERED
    route, boot, seq = route[numbered], boot[numbered], seq[numbered]
    if not len(route):
        return
    order = np.lexsort((seq, boot, route))
    route, boot, seq = route[order], boot[order], seq[order]
    other = np.ones(len(route), bool)
    other[1:] = (route[1:] != route[:-1]) | (boot[1:] != boot[:-1])
    starts = np.flatnonzero(other | np.concatenate([[True], seq[1:] > seq[:-1] + 1]))
    ends = np.append(starts[1:], len(seq)) - 1
    heads = routes.all
    pending, key = b"", (-1, -1)
    for r, b, first, last, new in zip(
        route[starts].tolist(),
        boot[starts].tolist(),
        seq[starts].tolist(),
        seq[ends].tolist(),
        other[starts].tolist(),
        strict=True,
    ):
        if new:
            if pending:
                out.append(_packet(heads[key[0]].ack_head, key[1], pending))
            pending, key = b"[%d,%d]" % (first, last), (r, b)
        else:
            pending += b",[%d,%d]" % (first, last)
    out.append(_packet(heads[key[0]].ack_head, key[1], pending))


def _packet(head: bytes, boot: int, ranges: bytes) -> bytes:
    payload = b'{"seq":[%s]}' % ranges if boot < 0 else b'{"boot":%d,"seq":[%s]}' % (boot, ranges)
    return packets.publish(head, payload)
