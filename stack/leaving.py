"""``kraj leave``: a municipality takes everything along, its devices move, and here it is erased with a certificate."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kraj.errors import ConfigurationError, PayloadError, UnavailableError

if TYPE_CHECKING:
    import psycopg

    from kraj.settings import Settings
    from kraj.store.leaving import Town

QUIET = timedelta(minutes=15)
"""A municipality whose devices were silent for so long sends no more; the slowest habit is a reading in ten minutes."""
OTHERS_S_MAX = 30.0
"""How long transactions of ingest may take that had begun before its registry changed."""
LAW = (
    "audit log: entries with pseudonyms, numbers of rows and names of columns, no values; it proves who did what",
    "record of leaving: the municipality's name, row counts and this certificate",
    "backups of the database: they hold the data until their own time is over",
)
PURPOSE = "erasure"


def leave(  # noqa: PLR0917 - options of the command line, never positional
    town: Annotated[str | None, typer.Argument(help="Name of the municipality, such as olsinka.")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Write everything that is its into this new folder.")] = None,
    server: Annotated[str | None, typer.Option(help="HOST:PORT of the broker to which its devices move.")] = None,
    authority: Annotated[Path | None, typer.Option(help="Root of that server's authority (PEM).")] = None,
    running: Annotated[
        bool, typer.Option("--running", help="Export although devices send; erase wants a later one.")
    ] = False,
    erase: Annotated[bool, typer.Option("--erase", help="Erase it here for good; needs --export.")] = False,
    export: Annotated[
        Path | None, typer.Option(help="The folder that --to has written: checked before erasing.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Where the certificate of erasure goes; else TOWN-erased.json.")
    ] = None,
    sure: Annotated[bool, typer.Option("--yes", help="Erase without asking.")] = False,
    verify: Annotated[Path | None, typer.Option(help="Check a certificate of erasure.")] = None,
    root: Annotated[
        Path | None, typer.Option(help="With --verify: root of who signed (PEM); else this authority's.")
    ] = None,
) -> None:
    """Let a municipality leave: export, move its devices, erase, and prove it (docs/privacy.md).

    Example: kraj leave olsinka --to /mnt/olsinka --server mqtt.olsinka.cz:8883 --authority root.pem

    Example: kraj leave olsinka --erase --export /mnt/olsinka-2
    """
    from kraj.clock import real
    from kraj.settings import load

    settings = load()
    if verify is not None:
        typer.echo(verified(settings, verify, root))
        return
    if town is None or (to is None) == (not erase):
        raise ConfigurationError("say `kraj leave TOWN --to FOLDER` or `kraj leave TOWN --erase --export FOLDER`")
    if erase:
        if export is None:
            raise ConfigurationError("--erase needs --export FOLDER: what is not safe elsewhere is not erased")
        if not sure:
            typer.confirm(f"Erase {town} for good? There is no way back", abort=True)
        file = certificate or Path(f"{town}-erased.json")
        found = erase_town(settings, town, export, file, real(), _say)
        typer.echo(f"{town} is erased; certificate {file}: {sum(found['deleted'].values())} rows")
        return
    if (server is None) != (authority is None):
        raise ConfigurationError("--server and --authority go together: devices must know whom they will trust")
    assert to is not None  # noqa: S101 - judged above
    move = None if server is None or authority is None else Move(server, authority)
    manifest = export_town(settings, town, to, real(), _say, move=move, running=running)
    typer.echo(f"{to}: {sum(manifest['rows'].values())} rows, {len(manifest['files'])} files")


@dataclass(frozen=True, slots=True)
class Move:
    """Where devices are told to go."""

    server: str
    authority: Path


def export_town(
    settings: "Settings",
    name: str,
    to: Path,
    at: datetime,
    say: Any,
    *,
    move: Move | None = None,
    running: bool = False,
) -> dict[str, Any]:
    """Write the export, and tell devices where to go; the manifest. What is wrong is refused before it begins."""
    from kraj import moving
    from kraj.store import leaving
    from stack import leaving_export

    target = None if move is None else moving.server(move.server, _text(move.authority, "--authority"))
    leaving_export.check_folder(to)
    with _connection(settings) as connection:
        town = _known(connection, name)
        _refuse_archived(settings, town)
        if target is None and not running:
            _refuse_live(connection, town, at)
        manifest = leaving_export.write(connection, town, to, at, say)
        with connection.transaction():
            leaving.note(connection, "municipality.export", town, {"rows": sum(manifest["rows"].values())})
            if target is not None:
                told = _order(settings, connection, town, target, at)
                say(f"{told} devices are told to move to {target.host}:{target.port} as soon as they listen")
    return manifest


def _order(settings: "Settings", connection: "psycopg.Connection[Any]", town: "Town", to: Any, at: datetime) -> int:
    from api.issuing import issuer
    from kraj import moving
    from kraj.store import leaving, telling

    by = issuer(settings.authority_folder).authority
    names = leaving.devices(connection, town)
    stamp = int(at.timestamp())
    payloads = [
        (name, json.dumps(moving.order(by, name, town.name, to, f"move-{stamp}", at), ensure_ascii=False))
        for name in names
    ]
    telling.put(connection, payloads, at + moving.LASTS)
    leaving.note(connection, "municipality.move", town, {"devices": len(names)})
    return len(names)


def erase_town(  # noqa: PLR0917 - who, what, where, when
    settings: "Settings", name: str, export: Path, file: Path, at: datetime, say: Any
) -> dict[str, Any]:
    """Erase a municipality and write the certificate; its document. Cut off in the middle, it is finished by a rerun.

    Raises ``ConfigurationError`` where the export is damaged or older than the data, or devices still send.
    """
    from kraj.store import leaving
    from stack import leaving_broker, leaving_export

    if file.exists():
        raise ConfigurationError(f"{file} is there already; name another file with --certificate")
    manifest, digest = leaving_export.read(export, say)
    if manifest["municipality"]["name"] != name:
        raise ConfigurationError(f"{export} is the export of {manifest['municipality']['name']}, not of {name}")
    with _connection(settings) as connection:
        town = leaving.town(connection, name)
        number = manifest["municipality"]["municipality_id"]
        begun = leaving.departure(connection, name)
        if begun is not None and begun.former_id == number:
            if begun.manifest_sha256 != digest:
                raise ConfigurationError(f"the erasure of {name} was begun by another export; give that folder")
        elif town is None or town.municipality_id != number:
            raise ConfigurationError(f"there is no municipality {name} of this export; see GET /v1/municipalities")
        else:
            _check_erasable(settings, connection, town, manifest, at)
        if town is not None and town.municipality_id == number:
            with connection.transaction():
                leaving.begin(connection, town, digest, at)
            _await_others(connection)
            leaving_broker.clear(settings, town.name, leaving.devices(connection, town), at)
            for partition in leaving.partitions(connection):
                with connection.transaction():
                    gone = leaving.erase_readings(connection, town, partition)
                if gone:
                    say(f"{partition}: {gone} rows erased")
            say("erasing everything else")
            with connection.transaction():
                leaving.erase_rest(connection, town, at)
        _erase_archived(settings, connection, number, say)
        return _certify(settings, connection, name, manifest, file, at)


def _refuse_archived(settings: "Settings", town: "Town") -> None:
    from stack import archive

    left = archive.not_exported(settings.archive_folder, town.municipality_id)
    if left:
        raise ConfigurationError(
            f"{len(left)} archived files of {town.name} are not in the database, so no export would have them; run "
            f"`kraj archive restore --municipality {town.name}`, then the same again"
        )


def _erase_archived(settings: "Settings", connection: "psycopg.Connection[Any]", number: int, say: Any) -> None:
    from kraj.store import archive as store
    from stack import archive

    store.lock(connection)
    gone = archive.erase(settings.archive_folder, number, lambda line: None)
    if gone:
        say(f"{gone} archived files erased; erase them in copies of {settings.archive_folder}, too")


def _check_erasable(
    settings: "Settings", connection: "psycopg.Connection[Any]", town: "Town", manifest: dict[str, Any], at: datetime
) -> None:
    from kraj.store import leaving
    from stack import leaving_export

    _refuse_live(connection, town, at)
    _refuse_archived(settings, town)
    lent = leaving.lent(connection, town)
    if lent:
        raise ConfigurationError(
            f"devices of {town.name} serve or served another municipality's assets: {', '.join(lent)}; "
            "replace them there (page of the device), or have them registered in the other municipality"
        )
    grown = leaving_export.grown(connection, town, manifest)
    if grown:
        rows = ", ".join(f"{table} {before} → {now}" for table, (before, now) in grown.items())
        raise ConfigurationError(f"there is more than was exported ({rows}); export again into a new folder")


def _certify(  # noqa: PLR0917 - what the certificate says
    settings: "Settings",
    connection: "psycopg.Connection[Any]",
    name: str,
    manifest: dict[str, Any],
    file: Path,
    at: datetime,
) -> dict[str, Any]:
    from kraj import signed
    from kraj.store import leaving
    from stack import authority
    from stack.secrets import write_private

    done = leaving.departure(connection, name)
    if done is None or done.erased_at is None:
        raise UnavailableError(f"the erasure of {name} is not finished; run the same again")
    kept = done.certificate
    if kept is None:
        document = {
            "purpose": PURPOSE,
            "municipality": {"name": name, "title": manifest["municipality"]["title"]},
            "erased_at": done.erased_at.isoformat(),
            "signed_at": at.isoformat(),
            "export_manifest_sha256": done.manifest_sha256,
            "exported": manifest["rows"],
            "deleted": done.counts,
            "kept": list(LAW),
        }
        by = authority.ensure(settings.authority_folder, at).authority
        kept = signed.sign(by, document).as_json()
        with connection.transaction():
            leaving.keep_certificate(connection, done.departure_id, kept)
    write_private(file, json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
    found: dict[str, Any] = json.loads(kept["document"])
    return found


def verified(settings: "Settings", file: Path, root: Path | None) -> str:
    """What a certificate says, once its signature is found good; raises ``ConfigurationError`` where it is not."""
    from api.issuing import issuer
    from kraj import moving, signed

    try:
        roots = moving.authorities(_text(root, "--root")) if root else issuer(settings.authority_folder).roots
        document = signed.check(signed.read(json.loads(_text(file, "--verify"))), roots)
    except (PayloadError, ValueError) as error:
        raise ConfigurationError(f"{file} is NOT a good certificate: {error}") from error
    if document.get("purpose") != PURPOSE:
        raise ConfigurationError(f"{file} is signed, but is no certificate of erasure")
    deleted = "\n".join(f"  {table:<24}{rows:>12}" for table, rows in sorted(document["deleted"].items()))
    kept = "\n".join(f"  {line}" for line in document["kept"])
    town = document["municipality"]
    return (
        f"good: {town['title']} ({town['name']}) was erased at {document['erased_at']}\n"
        f"export    {document['export_manifest_sha256']}\ndeleted rows\n{deleted}\nkept\n{kept}"
    )


def _refuse_live(connection: "psycopg.Connection[Any]", town: "Town", at: datetime) -> None:
    from kraj.store import leaving

    live = leaving.live(connection, town, at - QUIET)
    if live:
        raise ConfigurationError(
            f"devices of {town.name} still send: {', '.join(live)}; let them move (--server, --authority) or suspend "
            f"them (page of the device), and wait {QUIET.seconds // 60} minutes"
        )


def _await_others(connection: "psycopg.Connection[Any]") -> None:
    """Wait for transactions of ingest that have read the registry before it changed."""
    statement = (
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'kraj_ingest' AND datname = current_database()"
        " AND xact_start < %s"
    )
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    until = time.monotonic() + OTHERS_S_MAX
    while row and (found := connection.execute(statement.encode(), [row[0]]).fetchone()) and found[0]:
        if time.monotonic() > until:
            raise UnavailableError("ingest holds a transaction open for long; see its log, then run the same again")
        time.sleep(0.2)


def _known(connection: "psycopg.Connection[Any]", name: str) -> "Town":
    from kraj.store import leaving

    found = leaving.town(connection, name)
    if found is None:
        raise ConfigurationError(f"there is no municipality {name!r}; see GET /v1/municipalities")
    return found


def _text(file: Path, option: str) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{option}: {file} cannot be read: {error}") from error


def _say(line: str) -> None:
    typer.echo(line, err=True)


@contextmanager
def _connection(settings: "Settings") -> Generator["psycopg.Connection[Any]"]:
    import psycopg

    from stack.services import running_database

    with running_database(settings) as url:
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise UnavailableError(f"database: {error}") from error
