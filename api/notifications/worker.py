"""One round of the worker: what time moves on, what is to be told to whom, and what is due."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.notifications import alertmanager, push
from api.notifications.sending import Sender, terse
from api.notifications.webhooks import Events
from api.notifications.wordings import Wordings
from kraj.alerts import AlertState, Severity, Step
from kraj.errors import UnavailableError
from kraj.service_requests import REPORT_RULE
from kraj.store import alerts, contacts, outbox, queries, telephones
from kraj.store.connection import Connection, Watched, translated
from rules.elapsed import Life, Move, elapsed, proof
from rules.messages import Facts, Message, Wording, digest
from rules.notices import Notice, Target, Turn, deliveries, needed

RETRY_FIRST = timedelta(seconds=30)
RETRY_MAX = timedelta(hours=1)
GIVE_UP = timedelta(hours=24)
"""A message of yesterday helps nobody; the alert itself is still open on the page."""
SENDERS = 4
"""Targets that are served at once: one that hangs must not keep the others waiting."""
PER_TARGET_MAX = 50
"""Messages to one target in a round; in a storm everybody gets a turn."""
TESTS_MAX = 5
"""Test messages in a round: a service that hangs costs twenty seconds, and the next round waits."""
TIME = "time"
"""Who did it, where nobody did."""

log: Any = structlog.get_logger(__name__)


@dataclass(slots=True)
class Round:
    """What a round did. ``untold`` alerts are those for whom there was nobody to tell."""

    moved: int = 0
    planned: int = 0
    untold: int = 0
    sent: int = 0
    failed: int = 0


class Worker:
    """Works on the outbox with the rights of ``kraj_notify``; any number of workers may, on one database."""

    def __init__(self, url: str, send: Sender, *, page: str, zone: ZoneInfo) -> None:
        given = str(conninfo_to_dict(url).get("options") or "")
        self._url = make_conninfo(
            url, application_name="kraj-notify", connect_timeout=5, options=f"{given} -c timezone=UTC"
        )
        self._send = send
        self._page = page.rstrip("/")
        self._zone = zone
        self._wordings = Wordings()
        self._events = Events()
        self._said_nobody = False
        self._exported_at: datetime | None = None

    async def round(self, now: datetime) -> Round:
        """Do what is due by ``now``, everything committed at the end.

        Raises ``UnavailableError`` when the database is away; what was sent before is marked, or sent again once.
        """
        done = Round()
        async with await self._connect() as connection:
            with translated(connection):
                turns = await self._turns(connection, now)
                self._wordings.take(await outbox.own_rules(connection))
                await self._move(connection, turns, now, done)
                while await self._plan(connection, turns, now, done):
                    pass
                due = await outbox.due_targets(connection, now)
        slots = asyncio.Semaphore(SENDERS)

        async def serve(target_id: int) -> None:
            async with slots:
                await self._serve(target_id, now, done)

        async with asyncio.TaskGroup() as group:
            for target_id in due:
                group.create_task(serve(target_id))
            group.create_task(self._beside(now))
        return done

    async def _connect(self) -> Connection:
        return await connect(self._url)

    async def _turns(self, connection: Connection, now: datetime) -> list[Turn]:
        return [
            Turn(
                municipality_id=row.municipality_id,
                target_id=row.target_id,
                place=row.place,
                valid_from=row.valid_from,
                valid_to=row.valid_to,
                escalate_after=timedelta(minutes=row.escalate_after_min),
            )
            for row in await outbox.on_call(connection, now)
        ]

    async def _move(self, connection: Connection, turns: Sequence[Turn], now: datetime, done: Round) -> None:
        names: dict[int, str] | None = None
        for alert in await outbox.moving(connection):
            move = elapsed(_life(alert), turns, now, proof=proof(self._wordings.rule(alert.rule)), zone=self._zone)
            if move is None:
                continue
            if move.step is Step.VERIFIED and alert.rule == REPORT_RULE:
                move = replace(move, step=Step.CLOSED)  # nobody has measured it: no one reported it again
            if move.target_id is not None and names is None:
                names = {row.target_id: row.name for row in await outbox.targets(connection)}
            note = (names or {}).get(move.target_id) if move.target_id is not None else None
            done.moved += await _moved(connection, alert, move, note, now)

    async def _plan(self, connection: Connection, turns: Sequence[Turn], now: datetime, done: Round) -> bool:
        """Plan some of what waits; True when there may be more."""
        async with connection.transaction():
            waiting = await outbox.waiting(connection)
            if not waiting:
                return False
            rows = [row for row in await outbox.targets(connection) if row.enabled]
            targets = [_target(row) for row in rows if not row.exports and row.person_id is None]
            personal = [row for row in rows if row.person_id is not None]
            hearers = await telephones.hearers(connection) if personal else {}
            planned: list[outbox.Planned] = []
            for row in waiting:
                own = [_target(one) for one in personal if _hears(hearers.get(one.person_id or 0), row)]
                found = deliveries(_notice(row), [*targets, *own], turns, now, self._zone)
                if not rows and needed(Step(row.step), AlertState(row.state), notify=row.notify):
                    done.untold += 1
                planned += [
                    outbox.Planned(outbox_id=row.outbox_id, target_id=d.target_id, due_at=d.due_at, digest=d.digest)
                    for d in found
                ]
            await outbox.plan(connection, planned)
            await outbox.done(connection, [row.outbox_id for row in waiting], now)
        done.planned += len(planned)
        self._say_nobody(done.untold)
        return len(waiting) == outbox.WAITING_MAX

    async def _beside(self, now: datetime) -> None:
        """Test messages and Alertmanagers, on a connection of their own: messages do not wait for them."""
        async with await self._connect() as connection:
            with translated(connection):
                await self._test(connection, now)
                await self._export(connection, now)

    async def _test(self, connection: Connection, now: datetime) -> None:
        """Send the test messages that people have asked for, and write down what the service said."""
        async with connection.transaction():
            for test, target_id in await contacts.waiting_tests(connection, TESTS_MAX):
                address = await outbox.address(connection, target_id)
                error = "it is switched off"
                if address is not None:
                    error = await self._send.test(address, now)
                if error == push.GONE:
                    await telephones.gone(connection, target_id)
                else:
                    await contacts.tested(connection, test, error, now)

    async def _export(self, connection: Connection, now: datetime) -> None:
        """Post to each Alertmanager what is open, and what was closed lately."""
        if self._exported_at is not None and timedelta(0) <= now - self._exported_at < alertmanager.EVERY:
            return
        self._exported_at = now
        for target in await outbox.targets(connection):
            address = await outbox.address(connection, target.target_id) if target.exports else None
            if address is None:
                continue
            found = await outbox.exported(connection, target, now - alertmanager.LASTS, alertmanager.ALERTS_MAX)
            rows = [row for alert_id in found if (row := await queries.alert(connection, alert_id)) is not None]
            posted = [alertmanager.alert(self._posted(row, target.language), now) for row in rows]
            error = await asyncio.to_thread(alertmanager.post, address.url, posted) if posted else None
            if error is not None:
                log.warning("not exported", target=address.name, error=error)

    def _posted(self, row: queries.AlertRow, language: str) -> alertmanager.Posted:
        link = f"{self._page}/alerts/{row.alert_id}"
        facts = _facts(row, Step.OPENED, link)
        said = digest([(facts, self._wordings.of(row.rule))], language, self._zone)
        return alertmanager.Posted(
            alert_id=row.alert_id,
            rule=row.rule,
            severity=Severity(row.severity),
            municipality=row.municipality,
            scope_type=row.scope_type,
            place=_place(row),
            title=said.subject,
            text=said.body,
            link=link,
            since=row.since,
            ended_at=row.closed_at,
        )

    def _say_nobody(self, untold: int) -> None:
        if untold and not self._said_nobody:
            log.warning("nobody was told: there is no target; add one with `kraj notify add`", alerts=untold)
        self._said_nobody = self._said_nobody or untold > 0

    async def _serve(self, target_id: int, now: datetime, done: Round) -> None:
        """Send a target's messages one after the other, until one fails."""
        async with await self._connect() as connection:
            with translated(connection):
                for _ in range(PER_TARGET_MAX):
                    if not await self._send_next(connection, target_id, now, done):
                        return

    async def _send_next(self, connection: Connection, target_id: int, now: datetime, done: Round) -> bool:
        """Send the next message; False when there is none, or the target does not take it.

        The rows stay locked until they are marked: who dies in between leaves this one message to be sent again.
        """
        async with connection.transaction():
            due = await outbox.next_message(connection, target_id, now)
            if not due:
                return False
            address = await outbox.address(connection, target_id)
            stale = [d for d in due if not needed(Step(d.step), AlertState(d.state), notify=d.notify)]
            reason = "target is switched off" if address is None else "nothing to tell any more"
            dropped = due if address is None else stale
            await outbox.given_up(connection, [d.delivery_id for d in dropped], reason, now)
            wanted = [d for d in due if d not in dropped]
            if address is None or not wanted:
                return True
            if address.secrets:
                wanted = wanted[:1]  # a program reads steps, not digests
                error = await self._post(connection, wanted[0], address)
            else:
                error = await self._tell(connection, wanted, address)
            if error == push.GONE:
                await telephones.gone(connection, target_id)
                log.info("a browser is gone", target=address.name)
                return False
            if error is None:
                await outbox.sent(connection, [d.delivery_id for d in wanted], now)
                done.sent += 1
                return True
            done.failed += 1
            await _postpone(connection, target_id, wanted, error, now)
            log.warning("not sent", target=address.name, error=error)
            return False

    async def _tell(self, connection: Connection, due: Sequence[outbox.Due], address: outbox.Address) -> str | None:
        message = await self._message(connection, due, address.language)
        subject, body = message.subject, message.body
        if push.known(address.url):
            link = f"/alerts/{due[0].alert_id}" if len(due) == 1 else "/alerts"
            return await self._send.pushed(address, subject, body, link)
        if await asyncio.to_thread(terse, address.url):
            subject, body = "", message.short
        return await self._send(address.url, subject, body, message.severity)

    async def _post(self, connection: Connection, due: outbox.Due, address: outbox.Address) -> str | None:
        """Post a step to a webhook; its id stays the same however often it is tried."""
        row = await queries.alert(connection, due.alert_id)
        if row is None:
            return None
        link = f"{self._page}/alerts/{row.alert_id}"
        own, language = self._wordings.own, address.language
        body = self._events.alert(row, Step(due.step), due.at, link=link, language=language, own=own)
        return await self._send.signed(address, f"delivery_{due.delivery_id}", body)

    async def _message(self, connection: Connection, due: Sequence[outbox.Due], language: str) -> Message:
        told: list[tuple[Facts, Wording]] = []
        for delivery in due:
            alert = await queries.alert(connection, delivery.alert_id)
            if alert is not None:
                facts = _facts(alert, Step(delivery.step), f"{self._page}/alerts/{alert.alert_id}")
                told.append((facts, self._wordings.of(alert.rule)))
        return digest(told, language, self._zone)


async def connect(url: str) -> Connection:
    """A connection; raises ``UnavailableError`` when there is none.

    It prepares nothing: a plan from when nothing waited would read whole tables for each alert of a storm.
    """
    try:
        return await Watched.connect(url, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error


async def _moved(connection: Connection, alert: outbox.Moving, move: Move, note: str | None, now: datetime) -> bool:
    """Write the step of time; False when somebody was faster."""
    try:
        async with connection.transaction():
            await alerts.act(
                connection,
                alert.alert_id,
                version=alert.version,
                step=move.step,
                state=move.state,
                who=TIME,
                at=now,
                note=note,
            )
            if move.tell:
                await outbox.tell(connection, alert.alert_id, move.step, now)
    except alerts.StaleError:
        return False
    return True


async def _postpone(
    connection: Connection, target_id: int, due: Sequence[outbox.Due], error: str, now: datetime
) -> None:
    """Try again later, with growing patience; what is a day old is given up, with the error kept."""
    given_up = [d for d in due if now - d.wanted_at >= GIVE_UP]
    again = [d for d in due if d not in given_up]
    attempts = max(d.attempts for d in due)
    wait = min(RETRY_FIRST * 2 ** min(attempts, 20), RETRY_MAX)
    await outbox.failed(connection, [d.delivery_id for d in again], error, now + wait)
    await outbox.given_up(connection, [d.delivery_id for d in given_up], error, now)
    await outbox.hold_back(connection, target_id, now + wait)


def _life(row: outbox.Moving) -> Life:
    return Life(
        municipality_id=row.municipality_id,
        severity=Severity(row.severity),
        state=AlertState(row.state),
        active=row.active,
        notify=row.notify,
        cleared_at=row.cleared_at,
        fixed_at=row.fixed_at,
        told_at=row.told_at,
        escalations=row.escalations,
    )


def _notice(row: outbox.Waiting) -> Notice:
    return Notice(
        municipality_id=row.municipality_id,
        step=Step(row.step),
        at=row.at,
        severity=Severity(row.severity),
        state=AlertState(row.state),
        active=row.active,
        notify=row.notify,
        escalations=row.escalations,
        concerns=frozenset(row.concerns),
    )


def _hears(hearer: telephones.Hearer | None, row: outbox.Waiting) -> bool:
    return hearer is not None and hearer.hears(row.municipality_id, row.asset_id, row.concerns)


def _target(row: outbox.TargetRow) -> Target:
    quiet = None if row.quiet_from is None or row.quiet_to is None else (row.quiet_from, row.quiet_to)
    return Target(
        target_id=row.target_id,
        municipality_id=row.municipality_id,
        severity_min=Severity(row.severity_min),
        quiet=quiet,
        digest_at=row.digest_at,
    )


def _place(row: queries.AlertRow) -> str:
    if row.scope_type == "report":
        return str(row.evidence.get("report_place") or "–")
    return row.label if row.scope_type == "asset" and row.label else row.scope_name


def _facts(alert: queries.AlertRow, step: Step, link: str) -> Facts:
    return Facts(
        alert_id=alert.alert_id,
        step=step,
        severity=Severity(alert.severity),
        scope_type=alert.scope_type,
        scope_name=_place(alert) if alert.scope_type == "report" else alert.scope_name,
        since=alert.since,
        active=alert.active,
        municipality=alert.municipality_title,
        label=alert.label,
        kind=alert.kind,
        metadata=alert.metadata or {},
        evidence=alert.evidence,
        children=alert.children,
        link=link,
    )
