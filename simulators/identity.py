"""Who simulated devices are: a key and a certificate each, in a folder that only their maker can read."""

import ssl
from collections.abc import Iterable
from pathlib import Path

from kraj.errors import ConfigurationError

ROOTS = "roots.pem"
"""The roots by which all of them know the broker; ``NAME.pem`` is the key of a device with its certificates."""


def contexts(folder: Path, names: Iterable[str]) -> dict[str, ssl.SSLContext]:
    """Device name → TLS by its own certificate; the broker's name and authority are checked.

    Raises ``ConfigurationError`` when the roots or some device's file are missing or damaged.
    """
    wanted = list(names)
    missing = [name for name in wanted if not (folder / f"{name}.pem").exists()]
    if missing:
        raise ConfigurationError(
            f"{len(missing)} of {len(wanted)} devices have no certificate in {folder}, the first is {missing[0]}; "
            "the certificates must come from a region of the same seed and number of devices"
        )
    try:
        roots = (folder / ROOTS).read_text()
        return {name: context(_roots_of(folder, name) or roots, folder / f"{name}.pem") for name in wanted}
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"--identities {folder}: {error}") from error


def _roots_of(folder: Path, name: str) -> str:
    """Those that it was given since, with a certificate; empty where there are none."""
    file = folder / f"{name}.{ROOTS}"
    return file.read_text() if file.exists() else ""


def context(roots: str, own: Path) -> ssl.SSLContext:
    """TLS by a file with key and certificates; the broker is known by these roots (PEM)."""
    # Not create_default_context: it would read the system's own roots, of which no device needs one.
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_verify_locations(cadata=roots)
    made.load_cert_chain(own)
    return made
