"""``socket``: names, and datagrams as far as a question for the time needs them."""

import _host

AF_INET, SOCK_STREAM, SOCK_DGRAM = 2, 1, 2
NTP_BYTES, NTP_PORT, NTP_DELTA_S = 48, 123, 2208988800
EHOSTUNREACH, EAGAIN = 118, 11


def getaddrinfo(host, port, *rest):
    """One address; the host resolves the name itself when it connects."""
    del rest
    if not _host.network_up():
        raise OSError(-2)
    return [(AF_INET, SOCK_STREAM, 0, host, (host, port))]


class socket:  # noqa: N801 - as the board names it
    """A datagram socket whose every question is for the time."""

    def __init__(self, family=AF_INET, kind=SOCK_STREAM, protocol=0):
        del family, kind, protocol
        self._asked = b""

    def settimeout(self, seconds):
        """Nothing takes time."""

    def setblocking(self, on):
        """Nothing blocks."""

    def setsockopt(self, *options):
        """Nothing is set."""

    def connect(self, address):
        """Nobody answers but the time."""
        self._address = address

    def bind(self, address):
        """Any port will do."""

    def sendto(self, data, address):
        """Ask."""
        if not _host.network_up():
            raise OSError(EHOSTUNREACH)
        self._asked = bytes(data) if len(data) == NTP_BYTES and address[1] == NTP_PORT else b""
        self._said = bytes(data[40:48])  # comes back, so that the answer is known as one to this question
        return len(data)

    def send(self, data):
        """Ask whom it is connected to."""
        return self.sendto(data, self._address)

    def recv(self, n):
        """The answer: the host's time, unless it is to have none."""
        asked, self._asked = self._asked, b""
        told_ms = _host.ntp_ms() if asked else ""
        if not told_ms:
            raise OSError(EAGAIN)
        told_ms = int(told_ms)
        seconds, fraction = told_ms // 1000 + NTP_DELTA_S, (told_ms % 1000) * 4294967 + 1
        stamp = bytes((seconds >> s) & 255 for s in (24, 16, 8, 0)) + bytes(
            (fraction >> s) & 255 for s in (24, 16, 8, 0)
        )
        return (b"\x24\x01" + bytes(22) + self._said + stamp + stamp)[:n]

    def recvfrom(self, n):
        """The answer and from whom."""
        return self.recv(n), ("127.0.0.1", NTP_PORT)

    def close(self):
        """Nothing is open."""
