# The way to the broker: the radio's network, and a connection under mutual TLS by the broker's name.
import asyncio
import ssl

import network

POLL_MS, JOIN_MS = 250, 30000


class Network:
    def __init__(self, secrets):
        self.secrets = secrets
        self.station = None

    # Up, or an OSError after JOIN_MS; it is asked again later.
    async def up(self):
        if self.station is None:
            self.station = network.WLAN(network.STA_IF)
            self.station.active(True)
        if self.station.isconnected():
            return
        name, _, password = (self.secrets.get("wifi") or b"").decode().partition("\n")
        if not name:
            raise OSError("no network is known")
        self.station.disconnect()
        self.station.connect(name, password or None)
        for _ in range(JOIN_MS // POLL_MS):
            if self.station.isconnected():
                return
            await asyncio.sleep_ms(POLL_MS)
        raise OSError("the network " + name + " does not let us in")

    def rssi(self):
        if self.station is None or not self.station.isconnected():
            return None
        return self.station.status("rssi")

    # The name is resolved at each try, and always checked: a certificate of anybody else is none.
    async def dial(self, host, port, by=None):
        own, roots = by or (self.secrets.get("cert"), self.secrets.get("roots"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(own, self.secrets.get("key"))
        context.load_verify_locations(cadata=roots)
        return await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
