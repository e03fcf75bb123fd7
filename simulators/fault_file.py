"""A file of faults that may change while they are acted out: one that is over by a later writing ends then."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from kraj.errors import ConfigurationError
from simulators.physics.frame import Fault


class FaultFile:
    """A JSON list of faults; ``besides`` befall the region as well."""

    def __init__(self, file: Path, besides: Sequence[Fault] = ()) -> None:
        self._file = file
        self._besides = tuple(besides)
        self._written = 0

    def read(self) -> tuple[Fault, ...]:
        """All of them. Raises ``ConfigurationError`` when the file is missing or of another shape."""
        try:
            self._written = self._file.stat().st_mtime_ns
            return (*self._besides, *msgspec.json.decode(self._file.read_bytes(), type=tuple[Fault, ...]))
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigurationError(f"--fault-file {self._file}: {error}") from error

    def changed(self) -> tuple[Fault, ...] | None:
        """All of them where the file was written anew since the last look; None else."""
        try:
            return self.read() if self._file.stat().st_mtime_ns != self._written else None
        except (OSError, ConfigurationError):
            return None  # they go on as they were


def turned(before: Sequence[Fault], after: Sequence[Fault], now_ms: int) -> tuple[Fault, ...]:
    """What befalls the region from ``now_ms`` on: what was lived through stays, so nothing ends in the past."""
    running = {_name(fault) for fault in before if fault.start_ms < now_ms < fault.end_ms}
    return tuple(replace(f, end_ms=max(f.end_ms, now_ms)) if _name(f) in running else f for f in after)


def _name(fault: Fault) -> tuple[str, tuple[str, ...], int]:
    """What a fault is known by, whenever it ends."""
    return fault.cause, fault.targets, fault.start_ms
