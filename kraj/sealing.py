"""Secrets of others that we must be able to use (headers of vendors' clouds): sealed by a key that is in no backup."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from kraj.errors import ConfigurationError

KEY_FILE = "foreign.key"


class Sealer:
    """Seals and opens with the key in a folder of ours; makes the key, readable for us alone, when first needed."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / KEY_FILE

    def seal(self, headers: Mapping[str, str]) -> bytes:
        """Headers as the database may keep them."""
        return self._key(make=True).encrypt(json.dumps(dict(headers)).encode())

    def open(self, sealed: bytes) -> dict[str, str]:
        """The headers; raises ``ConfigurationError`` when the key is not the one that has sealed them."""
        try:
            return json.loads(self._key(make=False).decrypt(sealed))
        except InvalidToken as error:
            raise ConfigurationError(
                f"{self._file} is not the key that has sealed the headers of this pull; enter them again"
            ) from error

    def _key(self, *, make: bool) -> Fernet:
        try:
            return Fernet(self._file.read_bytes().strip())
        except FileNotFoundError as error:
            if not make:
                raise ConfigurationError(
                    f"{self._file} is missing, which sealed the headers; bring it back, or enter the headers again"
                ) from error
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{self._file} cannot be used ({error}); it must be a key of ours, mode 0600"
            ) from error
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            key = Fernet.generate_key()
            # Of two that make it at once, the second fails here and takes the first one's.
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(key)
                out.flush()
                os.fsync(out.fileno())
        except FileExistsError:
            return self._key(make=False)
        except OSError as error:
            raise ConfigurationError(f"cannot write {self._file}: {error.strerror}; set KRAJ_STATE_DIR") from error
        return Fernet(key)
