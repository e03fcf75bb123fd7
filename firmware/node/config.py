# What a device was told and keeps: named bytes (`settings` from the installation, `desired` from the platform).
# Whole or not at all; they stay in flash and are read when they are asked for.
import json
import struct

from node.state import BODY_MAX, Copies

VERSION = 1
SETTINGS_BYTES_MAX = 1536
NAMES_MAX = 8


class Config:
    def __init__(self, area):
        self.copies = Copies(area, 0, b"KC", VERSION)

    # The bytes kept under a name, or None.
    def kept(self, name):
        return self._all().get(name)

    get = kept

    # Raises ValueError when it does not fit beside the others, OSError when flash did not take it: all is as before.
    # None forgets a name.
    def keep(self, name, content):
        found = self._all()
        if found.get(name) == content:
            return
        if content is None:
            if name not in found:
                return
            del found[name]
        else:
            found[name] = content
        if len(found) > NAMES_MAX or len(name) > 32:
            raise ValueError("too many names")
        # The size first, so that what is too large is refused before it is in memory twice.
        if sum(3 + len(key) + len(found[key]) for key in found) > BODY_MAX:
            raise ValueError("too large")
        body = bytearray()
        for key in sorted(found):
            said = key.encode()
            body += struct.pack("<BH", len(said), len(found[key])) + said + found[key]
        self.copies.keep(bytes(body))

    # What the installation wrote: a JSON object with `version`, or None where nothing is or where it is of another one.
    def settings(self):
        found = self.kept("settings")
        if found is None:
            return None
        try:
            said = json.loads(found)
        except ValueError:
            return None
        return said if isinstance(said, dict) and said.get("version") == VERSION else None

    # Raises ValueError on what `settings` could not give.
    def keep_settings(self, said):
        if not isinstance(said, dict) or said.get("version") != VERSION:
            raise ValueError("settings of another version")
        content = json.dumps(said).encode()
        if len(content) > SETTINGS_BYTES_MAX:
            raise ValueError("too large")
        self.keep("settings", content)

    def _all(self):
        body, at, found = self.copies.read() or b"", 0, {}
        while at < len(body):
            named, length = struct.unpack_from("<BH", body, at)
            at += 3 + named
            found[body[at - named : at].decode()] = body[at : at + length]
            at += length
        return found
