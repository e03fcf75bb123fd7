# What is secret, or the device's own, in NVS: key, certificates, the network's password. Never in code, images or logs.
#
#   key, cert, roots   PEM: the private key, the certificate with the one above it, the roots that know the broker
#   renewal            the next certificate while it is on trial (node/renewal.py)
#   release_keys       the public keys that sign releases, 32 bytes each
#   broker, topic      host:port; the beginning of the device's topics
#   wifi               SSID, a line break, password
import esp32

SPACE = "kraj"
SIZE_MAX = 4000
NOT_FOUND = -4354


class Secrets:
    def __init__(self) -> None:
        self.nvs = esp32.NVS(SPACE)

    def get(self, name: str) -> "bytes | None":
        buffer = bytearray(SIZE_MAX)
        try:
            size = self.nvs.get_blob(name, buffer)
        except OSError as error:
            if error.args[0] == NOT_FOUND:
                return None
            raise
        return bytes(memoryview(buffer)[:size])

    # Whole or not at all: NVS writes the new value before it forgets the old one. None forgets the name.
    def keep(self, name: str, value: "bytes | None") -> None:
        if value is not None and len(value) > SIZE_MAX:
            raise ValueError("too long for NVS: " + name)
        if self.get(name) != value:
            if value is None:
                self.nvs.erase_key(name)
            else:
                self.nvs.set_blob(name, value)
            self.nvs.commit()
