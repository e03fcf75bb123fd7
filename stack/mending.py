"""In a demo a repair is real: what a person marks as fixed ends the simulated fault behind it, within seconds.

Runs beside the demo's fleet and nowhere else. It reads the alerts' history and writes the file of faults; devices and
rules know nothing of it.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from kraj.alerts import Step
from kraj.settings import load
from simulators.fault_file import FaultFile
from simulators.physics.frame import Fault
from stack.secrets import write_private

EVERY_S = 1.0
_FIXED = (
    "SELECT e.alert_event_id, (extract(epoch FROM e.at) * 1000)::bigint, a.rule, a.scope_type, a.scope_name, t.name,"
    " o.name || '/' || s.label"
    " FROM alert_event e JOIN alert a USING (alert_id) LEFT JOIN municipality t USING (municipality_id)"
    " LEFT JOIN asset s ON s.asset_id = a.asset_id LEFT JOIN municipality o ON o.municipality_id = s.municipality_id"
    " WHERE e.step = %s AND e.alert_event_id > %s ORDER BY e.alert_event_id"
)


@dataclass(frozen=True, slots=True)
class Fixed:
    """Somebody has marked an alert as fixed at ``at_ms``; ``asset`` is the key of where to go."""

    event_id: int
    at_ms: int
    rule: str
    scope_type: str
    scope_name: str
    municipality: str | None
    asset: str | None


def behind(fault: Fault, fixed: Fixed) -> bool:
    """Whether this fault ends by this repair: one of the asset itself, or of the group that the alert is about."""
    if not fault.start_ms <= fixed.at_ms < fault.end_ms:
        return False
    if fixed.scope_type == "asset":
        return fault.scope == "asset" and fixed.asset in fault.targets
    same = (fault.scope, fault.name) == (fixed.scope_type, fixed.scope_name)
    ours = fixed.municipality is None or fault.municipality in {None, fixed.municipality}
    return (same and ours) or (fault.cause == fixed.rule and fixed.asset in fault.targets)


def mended(faults: Iterable[Fault], fixed: Sequence[Fixed]) -> tuple[list[Fault], list[Fault]]:
    """The faults as they are after these repairs, and those that ended by them."""
    after, ended = list[Fault](), list[Fault]()
    for fault in faults:
        by = next((one for one in fixed if behind(fault, one)), None)
        after.append(fault if by is None else replace(fault, end_ms=by.at_ms))
        ended += [] if by is None else [after[-1]]
    return after, ended


def catch_up(connection: psycopg.Connection[tuple[object, ...]], file: Path, after: int = 0) -> tuple[int, list[Fault]]:
    """End in the file what was fixed since the event ``after``; gives the last event, and what has ended.

    What was fixed before is fixed again to the same moment, so a demo that starts anew knows its repairs.
    """
    rows = connection.execute(_FIXED.encode(), [Step.FIXED, after]).fetchall()
    fixed = [Fixed(*row) for row in rows]  # pyright: ignore[reportArgumentType] - as the statement has them
    faults, ended = mended(FaultFile(file).read(), fixed)
    if ended:
        write_private(file, json.dumps([asdict(fault) for fault in faults]) + "\n")
    return max((one.event_id for one in fixed), default=after), ended


def mend(faults: Annotated[Path, typer.Argument(help="The fleet's --fault-file.")]) -> None:
    """End simulated faults as people mark alerts as fixed in the database of KRAJ_DATABASE_URL, until stopped."""
    url = load().database_url
    after = 0
    while url is not None:
        try:
            with psycopg.connect(url.get_secret_value(), autocommit=True) as connection:
                while True:
                    after, ended = catch_up(connection, faults, after)
                    for fault in ended:
                        typer.echo(f"repaired: {fault.cause} on {fault.name}")
                    time.sleep(EVERY_S)
        except psycopg.OperationalError as error:
            typer.echo(f"database away: {error}", err=True)
            time.sleep(EVERY_S)


if __name__ == "__main__":
    typer.run(mend)
