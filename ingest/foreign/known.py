"""Foreign devices as files and pulls need them: whose they are, what they serve, and how their records are read."""

from dataclasses import dataclass

from ingest.routes import Routes
from kraj.errors import PayloadError
from kraj.foreign import adapters
from kraj.foreign.mapping import Document
from kraj.foreign.records import Adapter, Context
from kraj.store import foreign, registry
from kraj.store.connection import Connection


@dataclass(frozen=True, slots=True)
class Known:
    """A device that is read by a mapping."""

    device: str
    municipality: str
    device_id: int
    municipality_id: int
    document: Document
    context: Context


async def find(connection: Connection, name: str, now_ms: int) -> Known:
    """The device of this name; raises ``PayloadError`` with what is missing for reading its records."""
    version, installations = await registry.read(connection)
    route = Routes(version, [row for row in installations if row.device == name]).by_name.get(name)
    if route is None:
        raise PayloadError("unknown_device", f"device {name[:80]}")
    if not route.sending:
        raise PayloadError("suspended", f"device {name} is {route.state}")
    if not route.targets:
        raise PayloadError("not_installed", f"device {name} serves no asset")
    found = next((row for row in await foreign.read(connection) if row.device == name), None)
    if found is None or found.adapter != Adapter.JSON:
        raise PayloadError("foreign_device", f"device {name} is not read by a mapping of the adapter json")
    document = adapters.check(Adapter.JSON, found.document)
    kinds = {channel: target.kind for channel, target in route.targets.items()}
    return Known(name, route.municipality, route.device_id, route.municipality_id, document, Context(kinds, now_ms))
