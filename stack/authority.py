"""The platform's certificate authority as files: roots, what issues below them, the services' own certificates.

The folder (``authority`` in the state folder) belongs to us alone. ``issuing-N.key`` is what the API issues with;
``offline/root-N.key`` is needed at a rotation only, and better kept elsewhere. Root N+1 is made before it is needed:
devices carry it already when the authority rotates, so the broker can change over at once.
"""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from api.issuing import ISSUING, Issuer, issuer
from api.issuing import authority as read_authority
from kraj import certificates
from kraj.certificates import Authority, Certificate
from kraj.errors import ConfigurationError
from kraj.store.identity import Revoked
from stack.secrets import write_private

SHA256 = hashes.SHA256()
OFFLINE = "offline"
SERVICES = "services"
BROKER = "broker"
FOREIGN = "foreign"
RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class Credential:
    """A service's key and certificate, as files."""

    key: Path
    certificate: Path


def ensure(folder: Path, now: datetime) -> Issuer:
    """Read the authority; make it where there is none: root 1 with what issues below it, and root 2 that stands by."""
    if not any(folder.glob("root-*.pem")):
        _make(folder, now)
    return issuer(folder)


def _make(folder: Path, now: datetime) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # All of it or nothing: half an authority would be of no use, and would be in the way of a whole one.
        new = Path(tempfile.mkdtemp(prefix=".authority-", dir=folder.parent))
        (new / OFFLINE).mkdir(mode=0o700)
        for generation in (1, 2):
            _new_root(new, new / OFFLINE, generation, now)
        _new_issuing(new, new / OFFLINE, 1, now)
        try:
            new.rename(folder)
        except OSError:
            shutil.rmtree(new)
            if not any(folder.glob("root-*.pem")):
                raise
    except OSError as error:
        raise ConfigurationError(
            f"cannot make {folder} ({error.strerror}); set KRAJ_AUTHORITY_DIR to a folder that you may write to"
        ) from error


def _new_root(folder: Path, offline: Path, generation: int, now: datetime) -> None:
    key = certificates.new_key()
    write_private(offline / f"root-{generation}.key", certificates.key_pem(key))
    write_private(folder / f"root-{generation}.pem", certificates.pem(certificates.make_root(key, generation, now)))


def _new_issuing(folder: Path, offline: Path, generation: int, now: datetime) -> None:
    file = offline / f"root-{generation}.key"
    if not file.exists():
        raise ConfigurationError(
            f"the key of root {generation} is not in {offline}; bring it back from where it was set aside "
            "(--root-keys FOLDER), only for as long as this takes"
        )
    root = read(folder / f"root-{generation}.pem")
    key = certificates.new_key()
    made = certificates.make_issuing(key, certificates.read_key(file.read_bytes()), root, generation, now)
    write_private(folder / f"issuing-{generation}.pem", certificates.pem(made.certificate))
    write_private(folder / f"issuing-{generation}.key", certificates.key_pem(key))  # last: by it the rest counts


def rotate(folder: Path, offline: Path, now: datetime) -> Issuer:
    """Let the root that stood by take over, and make the next one. What was issued before stays good until dropped."""
    issuing = generations(folder)
    # Where the issuing key is lost, the root that stands by is the last one that was made.
    generation = issuing[-1] + 1 if issuing else max(int(f.stem[len("root-") :]) for f in folder.glob("root-*.pem"))
    if not (offline / f"root-{generation}.key").exists():
        _new_issuing(folder, offline, generation, now)  # says what is missing
    _new_root(folder, offline, generation + 1, now)
    _new_issuing(folder, offline, generation, now)
    return issuer(folder)


def drop(folder: Path, generation: int) -> None:
    """Trust a generation no more; its files are set aside in ``dropped``."""
    if generation not in generations(folder):
        raise ConfigurationError(f"there is no generation {generation}; known are {generations(folder)}")
    if generation == max(generations(folder)):
        raise ConfigurationError(f"generation {generation} is the one that issues; run `kraj authority rotate` first")
    aside = folder / "dropped"
    aside.mkdir(mode=0o700, exist_ok=True)
    for file in folder.glob(f"*-{generation}.*"):
        file.rename(aside / file.name)


def generations(folder: Path) -> list[int]:
    """The generations whose certificates are good, the one that issues last."""
    return sorted(int(match[1]) for file in folder.iterdir() if (match := ISSUING.fullmatch(file.name)))


def trusted(folder: Path) -> str:
    """What the broker knows clients by (PEM): root and issuing certificate of every generation."""
    found = [read_authority(folder, generation) for generation in generations(folder)]
    return certificates.pem(*(c for one in found for c in (one.root, one.certificate)))


def server(folder: Path, names: Sequence[str], now: datetime) -> Credential:
    """The broker's credential; made anew when it is due, and when the names or the authority are others."""
    by = issuer(folder)
    return _credential(folder, BROKER, by, now, names)


def foreign_server(folder: Path, names: Sequence[str], now: datetime) -> Credential:
    """What other makers' devices are shown: RSA. Its key stays for good, as some of them know it by its fingerprint."""
    place = folder / SERVICES
    place.mkdir(mode=0o700, exist_ok=True)
    made, by = Credential(place / f"{FOREIGN}.key", place / f"{FOREIGN}.pem"), issuer(folder)
    if not made.key.exists():
        key = rsa.generate_private_key(65_537, RSA_BITS)
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        write_private(made.key, key.private_bytes(serialization.Encoding.PEM, form, plain).decode())
        made.certificate.unlink(missing_ok=True)
    if not (made.certificate.exists() and _good(read(made.certificate), by.authority, names, now)):
        held = serialization.load_pem_private_key(made.key.read_bytes(), None)
        if not isinstance(held, rsa.RSAPrivateKey):
            raise ConfigurationError(f"{made.key} holds no RSA key; delete it, and tell devices the new fingerprint")
        issued = certificates.issue_server(by.authority, held.public_key(), names, now)
        write_private(made.certificate, certificates.pem(issued, by.authority.certificate))
    return made


def service(folder: Path, name: str, now: datetime) -> Credential:
    """The credential of an ingest slot."""
    return _credential(folder, name, issuer(folder), now, None)


def roots_file(folder: Path) -> Path:
    """The roots by which a service knows the broker, as one file."""
    place = folder / SERVICES / "roots.pem"
    place.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(place, certificates.pem(*issuer(folder).roots))
    return place


def _credential(folder: Path, name: str, by: Issuer, now: datetime, names: Sequence[str] | None) -> Credential:
    place = folder / SERVICES
    place.mkdir(mode=0o700, exist_ok=True)
    made = Credential(place / f"{name}.key", place / f"{name}.pem")
    if made.certificate.exists() and made.key.exists() and _good(read(made.certificate), by.authority, names, now):
        return made
    key = certificates.new_key()
    if names is None:
        issued = certificates.issue_client(by.authority, key.public_key(), name, now, certificates.SERVICE_LIFE)
    else:
        issued = certificates.issue_server(by.authority, key.public_key(), names, now)
    made.certificate.unlink(missing_ok=True)  # never a certificate beside another one's key
    write_private(made.key, certificates.key_pem(key))
    write_private(made.certificate, certificates.pem(issued, by.authority.certificate))
    return made


def _good(found: Certificate, authority: Authority, names: Sequence[str] | None, now: datetime) -> bool:
    if certificates.due(found, now) or found.issuer != authority.certificate.subject:
        return False
    return names is None or server_names(found) == list(names)


def server_names(found: Certificate) -> list[str]:
    """The names in a server's certificate."""
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def overview(folder: Path) -> list[tuple[str, Certificate]]:
    """What there is, for people: roots, what issues below them, the services' own."""
    issuing = generations(folder)
    standing = {n: "" if n in issuing else ", standing by" for n in (*issuing, issuing[-1] + 1)}
    found = [(f"root {n}{note}", folder / f"root-{n}.pem") for n, note in standing.items()]
    found += [(f"issuing {n}{', in use' if n == issuing[-1] else ''}", folder / f"issuing-{n}.pem") for n in issuing]
    found += [(f.stem, f) for f in sorted((folder / SERVICES).glob("*.pem")) if f.with_suffix(".key").exists()]
    return [(what, read(file)) for what, file in found if file.exists()]


def read_issuing(folder: Path, generation: int) -> Certificate:
    """The issuing certificate of a generation."""
    return read(folder / f"issuing-{generation}.pem")


def export_server(folder: Path, names: Sequence[str], rows: Iterable[Revoked], out: Path, now: datetime) -> None:
    """Write what a broker elsewhere needs: a key and certificate of its own, whom it trusts, whom it refuses."""
    out.mkdir(parents=True, exist_ok=True)
    by = issuer(folder)
    key_file, file, lists = out / "server.key", out / "server.pem", out / "revoked.pem"
    if not (key_file.exists() and file.exists() and _good(read(file), by.authority, names, now)):
        key = certificates.new_key()
        made = certificates.issue_server(by.authority, key.public_key(), names, now)
        write_private(key_file, certificates.key_pem(key))
        write_private(file, certificates.pem(made, by.authority.certificate))
    write_private(out / "trusted.pem", trusted(folder))
    before = lists.read_text() if lists.exists() else ""
    write_private(lists, revocation_lists(folder, rows, before, now))


def revocation_lists(folder: Path, revoked: Iterable[Revoked], before: str, now: datetime) -> str:
    """A list for each generation (PEM): without one, OpenSSL refuses all that this generation has issued.

    ``before`` are the lists up to now; the new ones are later than they by at least a second. What they name stays
    revoked, also where a database that was restored from a backup does not know of it any more.
    """
    rows = list(revoked)
    lists_before = certificates.read_crls(before)
    number, update = 1, (now - certificates.BACKDATED).replace(microsecond=0)
    for found in lists_before:
        number = max(number, 1 + found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
        update = max(update, found.last_update_utc + timedelta(seconds=1))
    lists: list[str] = []
    for generation in generations(folder):
        by = read_authority(folder, generation)
        own = {
            entry.serial_number: entry.revocation_date_utc
            for found in lists_before
            if found.issuer == by.certificate.subject
            for entry in found
            if now - entry.revocation_date_utc < certificates.DEVICE_LIFE  # by then every one has ended
        }
        own |= {row.serial: row.revoked_at for row in rows if row.generation == generation}
        lists.append(certificates.crl_pem(certificates.revocation_list(by, own.items(), number, update)))
    return "".join(lists)


def read(file: Path) -> Certificate:
    """Read the first certificate in a file of ours."""
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"{file} cannot be read ({error}); restore it from a backup") from error


def loose(folder: Path) -> list[Path]:
    """Keys, or the folder itself, that others than their owner may read."""
    return [path for path in (folder, *folder.rglob("*.key")) if path.exists() and path.stat().st_mode & 0o077]
