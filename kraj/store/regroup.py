"""Groups whose members have changed: which they are, and how far back their history is of today's members."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import psycopg

from kraj.kinds import KINDS

Connection = psycopg.Connection[Any]

_OLDEST: Final = ", ".join(
    f"(SELECT min(bucket) FROM {kind.rollup_table('1d', group=True)} WHERE group_id = q.group_id),"  # noqa: S608 - kinds
    " (SELECT min(f.bucket) FROM rollup_member m CROSS JOIN LATERAL"
    f" (SELECT min(bucket) AS bucket FROM {kind.rollup_table('1d')} r WHERE r.asset_id = m.asset_id) f"
    " WHERE m.group_id = q.group_id)"
    for kind in KINDS.values()
)


def notice(connection: Connection) -> None:
    """Queue the groups whose members are others than when it was last asked; at the very first time there is no
    history to be made anew."""
    connection.execute(
        """
        WITH changed AS (
            SELECT DISTINCT group_id FROM (
                (SELECT group_id, asset_id FROM asset_group_member EXCEPT SELECT group_id, asset_id FROM rollup_member)
                UNION ALL
                (SELECT group_id, asset_id FROM rollup_member EXCEPT SELECT group_id, asset_id FROM asset_group_member)
            ) AS d),
        queued AS (
            INSERT INTO rollup_regroup SELECT group_id, 'infinity' FROM changed WHERE EXISTS (SELECT FROM rollup_done)
            ON CONFLICT (group_id) DO UPDATE SET before = 'infinity'),
        left_ AS (
            DELETE FROM rollup_member m USING changed c WHERE m.group_id = c.group_id AND NOT EXISTS (
                SELECT FROM asset_group_member a WHERE a.group_id = m.group_id AND a.asset_id = m.asset_id))
        INSERT INTO rollup_member SELECT group_id, asset_id FROM asset_group_member JOIN changed USING (group_id)
        ON CONFLICT DO NOTHING
        """
    )


def waiting(connection: Connection, until: datetime, count: int) -> list[tuple[int, datetime]]:
    """Some groups and before when their history waits, at most ``until``; the newest first. Those whose history is
    done are forgotten."""
    while True:
        rows = connection.execute(
            (
                f"SELECT group_id, least(before, %s), least({_OLDEST}) FROM"  # noqa: S608 - kinds
                " (SELECT * FROM rollup_regroup ORDER BY before DESC, group_id LIMIT %s) AS q"
            ).encode(),
            [until, count],
        ).fetchall()
        left = [(group, before) for group, before, oldest in rows if oldest is not None and oldest < before]
        over = [group for group, before, oldest in rows if oldest is None or oldest >= before]
        connection.execute("DELETE FROM rollup_regroup WHERE group_id = ANY (%s)", [over])
        if left or not rows:
            return left


def done(connection: Connection, groups: Sequence[int], begins: Sequence[datetime]) -> None:
    """From these moments on they are of today's members."""
    connection.execute(
        "UPDATE rollup_regroup q SET before = d.before FROM unnest(%s::integer[], %s::timestamptz[]) AS d (g, before)"
        " WHERE q.group_id = d.g",
        [list(groups), list(begins)],
    )
