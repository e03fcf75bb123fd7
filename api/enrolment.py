"""Enrolment over the network: a code, or an old certificate with proof of its key, against a new certificate.

Nobody signs in here: the code, or the key, is what lets a device in. It is slow to guess and slow to flood.
"""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from api import acting, issuing, parameters
from api.database import Connection
from api.issuing import Issuer, Old
from api.problems import Problem, responses
from api.service import Clock, Service
from api.throttle import Throttle
from kraj.clock import real
from kraj.enrolment import Enrolled
from kraj.errors import ConfigurationError, PayloadError

REQUESTS_PER_S = 50.0
REQUESTS_BURST = 200.0
"""From one address: a gateway brings its whole street, and a fleet comes back after an outage through one router."""
FAILURES_PER_S = 10 / 60
FAILURES_BURST = 20.0
"""From one address. A code has 100 bits; this is against noise, and for a log that can be read."""
RETRY_S = 10

STATUS = {
    "code_unknown": 404,
    "code_used": 409,
    "code_expired": 403,
    "out_of_use": 403,
    "proof": 403,
    "certificate_unknown": 404,
    "certificate_revoked": 403,
    "certificate_ended": 403,
}
"""What is wrong with the form of a request is a 400."""


class EnrolBody(BaseModel):
    """What a device sends to enrol."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(description="The one-time code of this device.", examples=["7K2QF-0VNTD-M4X8A-Z19CE"])
    csr: str = Field(description="PKCS #10 request (PEM), P-256; no name, or the device's.")


class RenewBody(BaseModel):
    """What a device sends to renew, also after the end of its certificate."""

    model_config = ConfigDict(extra="forbid")

    certificate: str = Field(description="The certificate that it has (PEM).")
    csr: str = Field(description="PKCS #10 request (PEM), P-256; by a new key, or the old one.")
    proof: str = Field(description="The request as DER, signed by the old key (ECDSA, SHA-256), in base64.")


class Certificates(BaseModel):
    """What a device keeps."""

    device: str = Field(description="Its name: client id, user and third level of its topics.")
    topic: str = Field(description="The beginning of all its topics.")
    certificate: str = Field(description="Its certificate and the one above it (PEM).")
    roots: str = Field(description="Roots by which it knows the broker, of now and of after the next rotation (PEM).")
    not_after: datetime = Field(description="End of the certificate; renew after two thirds of its life.")


EXAMPLE = {
    "device": "lamp-3fa2b1",
    "topic": "kraj/olsinka-nad-mlynkou/lamp-3fa2b1",
    "certificate": "-----BEGIN CERTIFICATE-----\n…",
    "roots": "-----BEGIN CERTIFICATE-----\n…",
    "not_after": "2028-11-20T06:15:00Z",
}


class Desk:
    """Issues; reads the authority again after a rotation."""

    def __init__(self, service: Service, folder: Path, clock: Clock) -> None:
        self._service = service
        self._folder = folder
        self._clock = clock
        self._requests = Throttle(REQUESTS_PER_S, REQUESTS_BURST)
        self._failures = Throttle(FAILURES_PER_S, FAILURES_BURST)
        self._known: tuple[int, Issuer] | None = None

    async def issuer(self) -> Issuer:
        """The authority as its folder has it now; raises ``Problem('authority')`` where there is none."""
        try:
            stamp = self._folder.stat().st_mtime_ns
            if self._known is None or self._known[0] != stamp:
                self._known = (stamp, await asyncio.to_thread(issuing.issuer, self._folder))
        except (OSError, ConfigurationError) as error:
            raise Problem("authority", 503) from error
        return self._known[1]

    async def serve(
        self, request: Request, issue: Callable[[Connection, Issuer, datetime], Awaitable[Enrolled]]
    ) -> Certificates:
        """Issue in one transaction; certificates and codes go by real time, also in a demo."""
        address = request.client.host if request.client else ""
        if self._failures.left(address) < 1 or not self._requests.take(address):
            raise Problem("enrol_too_many", 429, retry_s=RETRY_S)
        by = await self.issuer()
        try:
            async with self._service.database.connection(write=True) as connection:
                got = await issue(connection, by, self._clock())
        except PayloadError as error:
            self._failures.take(address)
            raise Problem(f"enrol_{error.reason}", STATUS.get(error.reason, 400), detail=str(error)) from error
        return Certificates(
            device=got.device,
            topic=got.topic,
            certificate=got.chain,
            roots=got.roots_pem,
            not_after=got.not_after.astimezone(UTC),
        )


def routes(service: Service, folder: Path, clock: Clock = real) -> APIRouter:
    """The two routes of devices."""
    router = APIRouter(prefix="/v1/enrol", tags=["identity"])
    desk = Desk(service, folder, clock)

    @router.post(
        "",
        responses=responses(400, 403, 404, 409, 413, 415, 429) | parameters.example(EXAMPLE),
        openapi_extra=acting.documented(EnrolBody),
    )
    async def enrol(request: Request) -> Certificates:  # pyright: ignore[reportUnusedFunction]
        """Enrol a device: its one-time code and a request by its own key, which never leaves it.

        What the device had before is revoked.
        """
        body = await acting.json_body(request, EnrolBody)
        return await desk.serve(
            request,
            lambda connection, by, now: issuing.enrol(connection, by, body.code, body.csr.encode(), now),
        )

    @router.post(
        "/renew",
        responses=responses(400, 403, 404, 413, 415, 429) | parameters.example(EXAMPLE),
        openapi_extra=acting.documented(RenewBody),
    )
    async def renew(request: Request) -> Certificates:  # pyright: ignore[reportUnusedFunction]
        """Renew a device's certificate, before its end or after it, by proof of the old key.

        The certificate that was shown stays good until it ends, so that nothing is lost with a lost answer.
        """
        body = await acting.json_body(request, RenewBody)
        old = Old(body.certificate.encode(), _base64(body.proof))
        return await desk.serve(
            request, lambda connection, by, now: issuing.renew(connection, by, old, body.csr.encode(), now)
        )

    return router


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem("body", 400, name="proof", value=text[:80]) from error
