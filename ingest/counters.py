"""The figures of ingest for Prometheus; invariant 4 holds between them at any moment."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ingest.decode import Decoded
from kraj.alerts import Step
from kraj.store.batch import Outcome

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Counters:
    """received = committed + duplicate + quarantined + in flight, counted in readings."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.messages = Counter("kraj_ingest_messages", "MQTT messages taken in.", registry=r)
        self.received = Counter(
            "kraj_ingest_received", "Readings received; a message that cannot be read counts as one.", registry=r
        )
        self.committed = Counter("kraj_ingest_committed", "Readings committed.", registry=r)
        self.duplicate = Counter("kraj_ingest_duplicate", "Readings that were there already.", registry=r)
        self.quarantined = Counter("kraj_ingest_quarantined", "Readings not taken, by reason.", ["reason"], registry=r)
        self.values_quarantined = Counter(
            "kraj_ingest_values_quarantined", "Single values not taken, by reason.", ["reason"], registry=r
        )
        self.not_stored = Counter(
            "kraj_ingest_quarantine_overflow", "Refusals beyond a source's quota: counted, not stored.", registry=r
        )
        self.in_flight = Gauge("kraj_ingest_in_flight", "Readings decoded and not yet committed.", registry=r)
        self.waiting = Gauge("kraj_ingest_messages_waiting", "Messages received and not yet decoded.", registry=r)
        self.events = Counter("kraj_ingest_device_messages", "Status, event, reported and result messages.", registry=r)
        self.unknown_keys = Counter("kraj_ingest_unknown_keys", "Keys that no kind knows.", registry=r)
        self.acks = Counter("kraj_ingest_acks", "Acknowledgements published to devices.", registry=r)
        self.batches = Counter("kraj_ingest_batches", "Transactions committed.", registry=r)
        self.commit_s = Histogram("kraj_ingest_commit_seconds", "Time of a transaction.", buckets=SECONDS, registry=r)
        self.ack_s = Histogram(
            "kraj_ingest_ack_seconds",
            "From the batch's first message to its acknowledgement.",
            buckets=SECONDS,
            registry=r,
        )
        self.database_up = Gauge("kraj_ingest_database_up", "1 while the slot's lock is held.", registry=r)
        self.broker_up = Gauge("kraj_ingest_broker_up", "1 while the session at the broker is open.", registry=r)
        self.digested = Gauge("kraj_ingest_messages_digested", "Messages whose PUBACK the broker has read.", registry=r)
        self.broker_lag_s = Gauge(
            "kraj_ingest_broker_lag_seconds",
            "How long the broker took to read the last PUBACKs; the first figure to grow when it is overloaded.",
            registry=r,
        )
        self.retries = Counter("kraj_ingest_commit_retries", "Transactions tried again.", ["why"], registry=r)
        self.alert_steps = Counter("kraj_ingest_alert_steps", "Steps of alerts committed.", ["step"], registry=r)
        self.alerts = Counter("kraj_ingest_alerts", "Alerts opened that people hear of.", ["severity"], registry=r)
        self.checkpoint_bytes = Gauge("kraj_ingest_rules_checkpoint_bytes", "Size of the rules' state.", registry=r)

    def count_batch(self, decoded: Decoded, outcome: Outcome) -> None:
        """What became of a batch's readings and messages."""
        self.committed.inc(outcome.committed)
        self.duplicate.inc(outcome.duplicates)
        for rejection in decoded.rejections:
            family = self.values_quarantined if rejection.of_value else self.quarantined
            family.labels(rejection.reason).inc()
        if outcome.refused:
            self.quarantined.labels("database").inc(len(outcome.refused))
        self.not_stored.inc(len(outcome.not_stored))
        self.events.inc(len(decoded.device_messages))
        self.unknown_keys.inc(decoded.unknown_keys.total())
        self.batches.inc()
        for change in outcome.alerts:
            self.alert_steps.labels(change.step).inc()
            if change.step is Step.OPENED and change.notify:
                self.alerts.labels(change.severity).inc()
