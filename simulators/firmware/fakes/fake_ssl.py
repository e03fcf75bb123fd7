"""``ssl``: a context that remembers what it was given, for the host to connect by."""

import binascii
import json

PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER = 0, 1
CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED = 0, 1, 2
MBEDTLS_VERSION = "Node's OpenSSL in its place"


def _bytes(data):
    return data.encode() if isinstance(data, str) else bytes(data)


class SSLContext:
    """As MicroPython's: without a ``server_hostname`` any name will do."""

    def __init__(self, protocol):
        if protocol != PROTOCOL_TLS_CLIENT:
            raise ValueError("devices are clients")
        self.verify_mode = CERT_REQUIRED
        self._ca = self._certificate = self._key = b""

    def load_cert_chain(self, certfile, keyfile):
        """The device's own certificates and key, PEM or DER bytes."""
        self._certificate, self._key = _bytes(certfile), _bytes(keyfile)

    def load_verify_locations(self, cafile=None, cadata=None):
        """The roots by which it knows the broker, PEM or DER bytes."""
        if cafile is not None or cadata is None:
            raise OSError(2)
        self._ca = _bytes(cadata)

    def told(self, name):
        """JSON for the host."""
        fields = {"ca": self._ca, "certificate": self._certificate, "key": self._key}
        told = {key: binascii.hexlify(value).decode() for key, value in fields.items()}
        told["name"] = name or ""
        told["verify"] = self.verify_mode != CERT_NONE
        return json.dumps(told)
