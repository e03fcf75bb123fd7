"""From what a batch of messages decodes to, the one transaction that it becomes."""

from datetime import UTC, datetime

import msgspec

from ingest.decode import Decoded, Message
from ingest.foreign import shown
from ingest.routes import Routes
from kraj.foreign.adapters import ROOT as FOREIGN
from kraj.quarantine import PAYLOAD_BYTES_MAX, PAYLOAD_KEPT_BYTES_OVERSIZED
from kraj.store.batch import Batch, EventRow, StatusRow
from kraj.store.quarantine import Quarantined


def batch_of(
    *,
    batch_id: int,
    messages: list[Message],
    decoded: Decoded,
    routes: Routes,
    epochs: dict[tuple[int, int], int],
    now_ms: int,
) -> Batch:
    """Everything of one transaction; refused messages become rows of the quarantine, each with its payload."""

    def quarantined(message: int, reason: str, detail: str, metric: str | None) -> Quarantined:
        topic, payload, _ = messages[message]
        index = int(decoded.routes[message])
        route = routes.all[index] if index >= 0 else None
        kept = payload if len(payload) <= PAYLOAD_BYTES_MAX else payload[:PAYLOAD_KEPT_BYTES_OVERSIZED]
        return Quarantined(
            topic=topic[:300],
            source=route.name if route else _source(topic),
            municipality_id=route.municipality_id if route else None,
            device_id=route.device_id if route else None,
            reason=reason,
            detail=detail,
            metric=metric,
            payload=kept,
            payload_bytes=len(payload),
        )

    return Batch(
        batch_id=batch_id,
        registry_version=routes.version,
        at=datetime.fromtimestamp(now_ms / 1000, UTC),
        readings=decoded.readings,
        blame=lambda message, detail: quarantined(message, "database", detail, None),
        quarantined=[quarantined(r.message, r.reason, r.detail, r.metric) for r in decoded.rejections],
        readings_quarantined=decoded.quarantined,
        received=decoded.received,
        statuses=[
            StatusRow(m.route.device_id, **msgspec.structs.asdict(m.status))
            for m in sorted([*decoded.device_messages, *decoded.statuses_only], key=lambda m: m.message)
            if m.status is not None
        ],
        events=[
            EventRow(m.route.device_id, m.route.municipality_id, str(m.channel), m.body, m.message)
            for m in decoded.device_messages
        ],
        epochs=epochs,
        unknown_keys=dict(decoded.unknown_keys),
        foreign=shown.messages(messages, decoded.foreign, decoded.rejections),
    )


def _source(topic: str) -> str:
    parts = topic.split("/")
    return parts[2][:63] if len(parts) == 4 or (len(parts) > 4 and parts[0] == FOREIGN) else "?"
