"""Renewal of devices' certificates over their own session: who is due gets the next one, a few at a time.

The API does so because it holds the issuing key. What a device is told is signed as a whole, so that whoever carries it
(database, ingest, broker) can neither change it nor make another.
"""

import asyncio
import logging
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from api import issuing
from api.issuing import Issuer
from api.service import Clock, Service
from kraj import certificates, renewing
from kraj.certificates import Certificate
from kraj.errors import ConfigurationError, UnavailableError
from kraj.store import identity
from kraj.store.identity import DueRow, Next

LOOK_S = 60.0
"""Between looks; a fleet has eight months for it."""

logger = logging.getLogger("kraj.api.renewing")


class Renewer:
    """Looks for who is due while ``async with`` lasts; certificates go by real time, also in a demo."""

    def __init__(self, service: Service, folder: Path, clock: Clock) -> None:
        self._service = service
        self._folder = folder
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._said = ""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                begun = await self.look()
            except (UnavailableError, ConfigurationError) as error:
                if str(error) != self._said:  # each trouble once: where there is no authority there will be none
                    logger.warning("certificates cannot be renewed yet: %s", error)
                self._said = str(error)
            except Exception:  # whatever it is, requests are answered, and the next look may do
                logger.exception("renewing certificates failed; trying again")
            else:
                self._said = ""
                if begun:
                    logger.info("%s devices get their next certificate", begun)

    async def look(self) -> int:
        """Begin what is due and within the hour's share; how many that were. Raises ``ConfigurationError`` where the
        authority cannot be read."""
        by = await asyncio.to_thread(issuing.issuer, self._folder)
        begun, now = 0, self._clock()
        async with self._service.database.connection(write=True) as connection:
            left = await identity.renewals_left(connection, now)
            for row in await identity.renewals_due(connection, by.authority.generation, now, left):
                if row.public_key is None:
                    await identity.ask_certificate(connection, row.device_id, now)
                else:
                    begun += await identity.begin_renewal(connection, row, await _next(by, row, now), now)
        return begun


async def _next(by: Issuer, row: DueRow, now: datetime) -> Next:
    issued = await asyncio.to_thread(_issued, by, row, now)
    number = uuid4()
    told = renewing.order(by.authority, row.device, issued, by.roots, str(number))
    return Next(issued, by.authority.generation, number, told, now + renewing.LASTS)


def _issued(by: Issuer, row: DueRow, now: datetime) -> Certificate:
    return certificates.issue_device(by.authority, certificates.read_public_key(row.public_key or b""), row.device, now)
