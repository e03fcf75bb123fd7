"""Connections and the main task for MicroPython's asyncio in a browser's interpreter, which has neither."""

import asyncio
import binascii

import _host

_open, _state, _error, _receive, _send, _close = (
    _host.wire_open,
    _host.wire_state,
    _host.wire_error,
    _host.wire_receive,
    _host.wire_send,
    _host.wire_close,
)
_events = {}
CONNECTING, OPEN = 0, 1
CHUNK = 1024


def _wake(number):
    event = _events.get(number)
    if event is not None:
        event.set()


_host.wire_wake(_wake)


class Stream:
    """Reader and writer of one connection, as ``asyncio.Stream``."""

    def __init__(self, number):
        self.number = number
        self.out = []
        self.event = _events[number] = asyncio.Event()

    async def read(self, n=-1):
        """At most ``n`` bytes as soon as there are any; all until the end for -1."""
        if n < 0:
            got = b""
            while True:
                more = await self.read(CHUNK)
                if not more:
                    return got
                got += more
        while True:
            found = _receive(self.number, n)
            if found:
                return binascii.unhexlify(found)
            if _state(self.number) != OPEN:
                if _state(self.number) < 0:
                    raise OSError(104)  # ECONNRESET
                return b""
            self.event.clear()
            await self.event.wait()

    async def readinto(self, buffer):
        """Into a buffer as much as there is; gives how much."""
        got = await self.read(len(buffer))
        buffer[: len(got)] = got
        return len(got)

    async def readexactly(self, n):
        """Exactly ``n`` bytes; ``EOFError`` where the connection ends before."""
        got = b""
        while n:
            more = await self.read(n)
            if not more:
                raise EOFError
            got += more
            n -= len(more)
        return got

    async def readline(self):
        """Up to and with the end of a line."""
        got = b""
        while not got.endswith(b"\n"):
            more = await self.read(1)
            if not more:
                break
            got += more
        return got

    def write(self, data):
        """Kept until ``drain``, as on the board."""
        self.out.append(bytes(data))

    async def drain(self):
        """Send what was written; each write is a packet of its own on the wire."""
        out, self.out = self.out, []
        for data in out:
            if _send(self.number, binascii.hexlify(data).decode()) < 0:
                raise OSError(104)
        await asyncio.sleep_ms(0)

    def close(self):
        """End the connection."""
        _close(self.number)
        _wake(self.number)
        _events.pop(self.number, None)

    async def wait_closed(self):
        """It is closed at once."""

    def get_extra_info(self, name):
        """As far as anybody asks: (address, port) of nobody."""
        del name
        return ("127.0.0.1", 0)


async def open_connection(host, port, ssl=None, server_hostname=None):
    """As MicroPython's; ``ssl`` is a context or True."""
    secured = ""
    if ssl is True:
        import ssl as module

        ssl = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
        ssl.verify_mode = module.CERT_NONE
    if ssl:
        secured = ssl.told(server_hostname)
    number = _open(host, port, secured)
    stream = Stream(number)
    try:
        while _state(number) == CONNECTING:
            stream.event.clear()
            await stream.event.wait()
        if _state(number) < 0:
            raise OSError(_error(number))
    except BaseException:
        stream.close()
        raise
    return stream, stream


def run(coroutine):
    """The main task, which the host waits for: nothing can block here."""
    asyncio.main_task = asyncio.create_task(coroutine)


asyncio.open_connection = open_connection
asyncio.run = run
asyncio.StreamReader = asyncio.StreamWriter = Stream
