"""Around every request: a body that comes too slowly is given up, and so is the connection with its rest."""

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem

BODY_S_MAX = 20.0
"""So long a body may take whatever its size …"""
BODY_BYTES_PER_S_MIN = 16 * 1024
"""… and so much must come in a second beyond that: 20 MB through 1 Mbit/s take half of it."""


class Bounds:
    """ASGI middleware: raises ``Problem('slow_body', 408)`` where the route reads what does not come."""

    def __init__(self, app: ASGIApp, body_s_max: float = BODY_S_MAX) -> None:
        self._app = app
        self._body_s_max = body_s_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size, waited_s, ended = 0, 0.0, False  # waited for them alone: what takes us long is not their slowness

        async def receive_in_time() -> Message:
            nonlocal size, waited_s, ended
            if ended:  # what follows is the end of the connection, for which streams wait
                return await receive()
            began = time.monotonic()
            try:
                left = self._body_s_max + size / BODY_BYTES_PER_S_MIN - waited_s
                message = await asyncio.wait_for(receive(), max(left, 0))
            except TimeoutError as error:
                raise Problem("slow_body", 408, size=size) from error
            waited_s += time.monotonic() - began
            size += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            return message

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and not ended and _has_body(scope):
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive_in_time, send_and_close)


def _has_body(scope: Scope) -> bool:
    given = Headers(scope=scope)
    return "transfer-encoding" in given or given.get("content-length", "0") != "0"
