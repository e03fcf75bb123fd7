"""One database, broker and ingest for many tests, each with devices of its own."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from stack.broker import Broker
from tests.ingest.rig import Devices, Ingest, query, register_lamps


class Region:
    """A database, a broker and an ingest that the tests of this file share; each test takes devices of its own."""

    def __init__(self, url: str, broker: Broker, folder: Path) -> None:
        self.url, self.broker, self.folder = url, broker, folder
        self.ingest = self.start()
        self.devices = Devices(broker.port)

    @classmethod
    def lived_in(cls, url: str, folder: Path) -> Iterator[Self]:
        """The region with its broker, its ingest and its devices, for a fixture."""
        with Broker(folder / "broker", open=True) as broker:
            made = cls(url, broker, folder)
            with made.devices:
                yield made
            made.ingest.__exit__(None, None, None)

    def start(self) -> Ingest:
        return Ingest(self.url, self.broker.address, self.broker.port, self.folder / "ingest.log").ready()

    def lamp(self) -> str:
        """The name of a new lamp that ingest knows."""
        name = f"lamp-{uuid.uuid4().hex[:8]}"
        register_lamps(self.url, [name])
        return name

    def query(self, statement: str, *parameters: object) -> list[Any]:
        return query(self.url, statement, *parameters)

    def rows(self, device: str, columns: str = "seq") -> list[Any]:
        """Stored readings of a device with one lamp, by seq and time."""
        return self.query(
            f"SELECT {columns} FROM reading_lamp WHERE asset_id = (SELECT asset_id FROM asset WHERE label = %s)"
            " ORDER BY seq, ts",
            device.upper(),
        )

    def quarantine(self, source: str, columns: str = "reason") -> list[Any]:
        return self.query(f"SELECT {columns} FROM quarantine WHERE source = %s ORDER BY quarantine_id", source)

    def events(self, device: str) -> list[Any]:
        return self.query(
            "SELECT channel, body FROM device_event JOIN device USING (device_id) WHERE name = %s ORDER BY event_id",
            device,
        )

    def settled(self) -> dict[str, float]:
        """Wait until nothing is on its way; a marker behind everything that was sent before proves it."""
        marker = self.lamp()
        self.devices.await_ack(self.devices.send(marker))
        return self.ingest.balance()
