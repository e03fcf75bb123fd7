"""A large region in a database: municipalities, devices with their assets and newest readings, alerts, people."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from kraj.kinds import LAMP
from kraj.store.registry import NewAsset, NewDevice, register
from kraj.store.sign_in import digest

ALERTS_PER_TOWN = 5
LAMPS_PER_FEEDER = 25


@dataclass(frozen=True, slots=True)
class Clerk:
    """Somebody who is signed in: of a municipality, or (None) of the region."""

    session: str
    municipality: str | None


def town(number: int) -> str:
    """Its name."""
    return f"obec-{number:03}"


def build(owner: psycopg.Connection[Any], devices: int, towns: int, say: Callable[[str], None]) -> None:
    """Fill an empty, migrated database; ``owner`` commits by itself."""
    at = datetime.now(UTC)
    names = {town(n): f"Obec {n}" for n in range(towns)}
    register(
        owner,
        names,
        [
            NewDevice(
                name=f"lamp-{n:06}",
                municipality=town(n % towns),
                assets={
                    0: NewAsset(
                        kind="lamp",
                        label=f"VO-{n // towns}",
                        latitude=49.2 + n % towns / 500,
                        longitude=15.2 + n // towns / 5000,
                        metadata={"feeder": f"RVO-{n // towns // LAMPS_PER_FEEDER}", "power_rated_w": 41},
                    )
                },
            )
            for n in range(devices)
        ],
        at - timedelta(days=30),
    )
    owner.execute("ALTER TABLE device_status SET (autovacuum_enabled = false)")
    owner.execute("INSERT INTO device_status SELECT device_id, true, 1, '1.4.0', 'power_on', %s FROM device", [at])
    owner.execute(
        (
            f"INSERT INTO {LAMP.latest_table} (asset_id, municipality_id, ts, seq, boot, batch_id, implausible,"  # noqa: S608
            " power_w, voltage_v) SELECT asset_id, municipality_id, %s, 1, 1, 1, 0, 40, 231 FROM asset"
        ).encode(),
        [at],
    )
    owner.execute(
        "INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, asset_id, severity, active, notify,"
        " since, opened_at, changed_at) SELECT 'k' || asset_id, 'lamp_out', 'asset', asset_id::text, municipality_id,"
        " asset_id, 'major', true, true, %(at)s, %(at)s, %(at)s FROM (SELECT *, row_number() OVER"
        " (PARTITION BY municipality_id ORDER BY asset_id) AS place FROM asset) AS a WHERE place <= %(most)s",
        {"at": at - timedelta(hours=1), "most": ALERTS_PER_TOWN},
    )
    owner.execute("INSERT INTO slot (name, heartbeat_at) VALUES ('slot_0', %s)", [at])
    owner.execute("VACUUM ANALYZE")
    say(f"{devices:,} devices in {towns} municipalities")


def sign_in(owner: psycopg.Connection[Any], name: str, role: str, municipality: str | None) -> Clerk:
    """A person with a role and a session."""
    now, session = datetime.now(UTC), secrets.token_urlsafe(24)
    owner.execute(
        "WITH p AS (INSERT INTO person (name, title, created_at) VALUES (%(name)s, %(name)s, %(now)s)"
        " ON CONFLICT (name) DO UPDATE SET title = EXCLUDED.title RETURNING person_id),"
        " m AS (INSERT INTO membership (person_id, municipality_id, role, valid_from) SELECT person_id,"
        " (SELECT municipality_id FROM municipality WHERE name = %(town)s), %(role)s,"
        " %(now)s - interval '1 day' FROM p)"
        " INSERT INTO sign_in_session (digest, person_id, created_at, seen_at, expires_at, second_factor)"
        " SELECT %(digest)s, person_id, %(now)s, %(now)s, %(now)s + interval '12 h', true FROM p",
        {"name": name, "now": now, "town": municipality, "role": role, "digest": digest(session)},
    )
    return Clerk(session, municipality)
