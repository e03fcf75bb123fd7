"""``kraj dashboards``: Grafana's dashboards made, pushed or written for mounting, and the database's roles for it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kraj.errors import ConfigurationError

if TYPE_CHECKING:
    from dashboards.grafana import Access
    from dashboards.source import Postgres
    from dashboards.wording import Language
    from kraj.settings import Settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

commands = typer.Typer(
    help="Grafana: dashboards, data sources and the database's roles for it.\n\nExample: kraj dashboards files grafana",
    no_args_is_help=True,
)
Municipality = Annotated[
    str | None, typer.Option(help="A municipality's name, for an organisation of its own; without: the region's.")
]
Tongue = Annotated[str, typer.Option("--language", help="cs or en.")]


@commands.command()
def build(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 where something would change.")
    ] = False,
) -> None:
    """Make the committed dashboards again from the kinds; for who changes Kraj (needs the packages of `make setup`).

    Example: kraj dashboards build
    """
    try:
        from dashboards.build import documents, write
        from dashboards.stored import FOLDER
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is missing: dashboards are made where Kraj is developed; run `make setup` there"
        ) from error
    if not check:
        typer.echo("\n".join(write()) or "nothing to do")
        return
    found = {str(file.relative_to(FOLDER)): file.read_text("utf-8") for file in FOLDER.glob("*/*.json")}
    wanted = documents()
    stale = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    typer.echo("\n".join(stale) or "nothing to do")
    raise typer.Exit(1 if stale else 0)


@commands.command()
def push(municipality: Municipality = None, language: Tongue = "cs") -> None:
    """Bring data source, folder and dashboards to Grafana; what is right already stays as it is.

    Needs KRAJ_GRAFANA_URL and KRAJ_GRAFANA_TOKEN_FILE; for a municipality KRAJ_GRAFANA_PASSWORD_FILE, as only the
    server's administrator makes organisations.

    Example: KRAJ_GRAFANA_URL=http://127.0.0.1:3000 KRAJ_GRAFANA_TOKEN_FILE=grafana.token kraj dashboards push

    Example: kraj dashboards push --municipality olsinka
    """
    from dashboards.grafana import Grafana
    from dashboards.grafana import push as bring
    from dashboards.stored import dashboards
    from kraj.settings import load

    settings = load()
    access = _access(settings, administrator=municipality is not None)
    told = _language(language)
    grafana = Grafana(access)
    typer.echo(f"Grafana {grafana.check()}")
    postgres, title = _postgres(settings, municipality)
    lines: list[str] = []
    if title is not None:
        number, made = grafana.organisation(title)
        lines += [f"organisation {title}: made"] if made else []
        grafana = Grafana(access, number)
    region = municipality is None
    found = dashboards(told, kraj_url=_console(settings), region=region)
    for line in (*lines, *bring(grafana, postgres, settings.grafana_prometheus_url if region else None, found)):
        typer.echo(line)
        lines.append(line)
    if not lines:
        typer.echo("nothing to do")


@commands.command()
def files(
    folder: Annotated[Path, typer.Argument(help="Folder to write to; what Kraj wrote there before is replaced.")],
    municipality: Municipality = None,
    language: Tongue = "cs",
) -> None:
    """Write what Grafana reads from its disk instead: provisioning, dashboards, and grafana.env with the password.

    dashboards/compose.yaml starts a Grafana that mounts it.

    Example: kraj dashboards files grafana
    """
    from dashboards.files import files as written
    from dashboards.stored import dashboards
    from kraj.settings import load
    from stack.secrets import write_private

    settings = load()
    told = _language(language)
    postgres, _ = _postgres(settings, municipality)
    region = municipality is None
    found = dashboards(told, kraj_url=_console(settings), region=region)
    texts = written(postgres, settings.grafana_prometheus_url if region else None, found)
    try:
        for old in (folder / "dashboards").glob("*.json"):
            if f"dashboards/{old.name}" not in texts:
                old.unlink()
        for name, text in texts.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith(".env"):
                write_private(file, text)
            else:
                file.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {error.filename}: {error.strerror}; name a folder of yours") from error
    typer.echo(f"{folder}: {len(texts)} files; grafana.env holds the password of {postgres.role}")


@commands.command()
def role(
    municipality: Annotated[str | None, typer.Argument(help="A municipality's name; without: the region.")] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Take the role away, with its open connections.")] = False,
) -> None:
    """Make the database's role for Grafana, with a random password in a file that only its owner reads.

    push and files do this by themselves.

    Example: kraj dashboards role olsinka
    """
    import psycopg

    from kraj.settings import load
    from kraj.store.grafana import drop_role, municipality_of, role_name
    from stack.services import running_database

    settings = load()
    if not drop:
        postgres, _ = _postgres(settings, municipality)
        typer.echo(f"{postgres.role}: its password is in {_passwords(settings)}")
        return
    with running_database(settings) as url, psycopg.connect(url) as connection:
        number = None if municipality is None else municipality_of(connection, municipality)[0]
        gone = role_name(number, municipality or "")
        drop_role(connection, gone)
    typer.echo(f"{gone}: gone")


def _postgres(settings: "Settings", municipality: str | None) -> tuple["Postgres", str | None]:
    """The data source's side of the database, its role seen to; and the municipality's title."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    from dashboards.source import Postgres
    from kraj.clock import real
    from kraj.store.grafana import ensure_role, municipality_of, role_name
    from stack.secrets import load_or_create
    from stack.services import prepare_folder, running_database

    address = _address(settings)
    with running_database(settings) as url, psycopg.connect(url, autocommit=True) as connection:
        number, title = (None, None) if municipality is None else municipality_of(connection, municipality)
        name = role_name(number, municipality or "")
        file = _passwords(settings)
        prepare_folder(settings.state_dir)
        password = load_or_create(file, [name])[name]
        ensure_role(connection, number, name, password, real())
        database = str(conninfo_to_dict(url).get("dbname") or connection.info.dbname)
    host = address.rpartition(":")[0].strip("[]")
    tls = settings.grafana_database_tls or ("disable" if host in LOOPBACK else "require")
    return Postgres(address, database, name, password, tls), title


def _passwords(settings: "Settings") -> Path:
    return settings.state_dir / "grafana-passwords.json"


def _address(settings: "Settings") -> str:
    """host:port as Grafana sees the database."""
    from psycopg.conninfo import conninfo_to_dict

    if settings.grafana_database:
        return settings.grafana_database
    if settings.database_url is not None:
        told = conninfo_to_dict(settings.database_url.get_secret_value())
        host = str(told.get("host") or "")
        if host and not host.startswith("/"):
            return f"{host}:{told.get('port') or 5432}"
    elif settings.database_port:
        return f"127.0.0.1:{settings.database_port}"
    raise ConfigurationError(
        "Grafana cannot reach the database, which listens on a Unix socket alone; set KRAJ_DATABASE_PORT=5433 and "
        "start `kraj up` again, or say in KRAJ_GRAFANA_DATABASE at which host:port Grafana finds it"
    )


def _access(settings: "Settings", *, administrator: bool) -> "Access":
    from dashboards.grafana import Access

    if not settings.grafana_url:
        raise ConfigurationError("set KRAJ_GRAFANA_URL to where Grafana is, such as http://127.0.0.1:3000")
    if settings.grafana_token_file is not None and not administrator:
        return Access(settings.grafana_url, token=_secret(settings.grafana_token_file, "KRAJ_GRAFANA_TOKEN_FILE"))
    if settings.grafana_password_file is not None:
        password = _secret(settings.grafana_password_file, "KRAJ_GRAFANA_PASSWORD_FILE")
        return Access(settings.grafana_url, user=settings.grafana_user, password=password)
    if administrator:
        raise ConfigurationError(
            "only Grafana's server administrator makes organisations: set KRAJ_GRAFANA_PASSWORD_FILE to a file with "
            f"the password of {settings.grafana_user} (KRAJ_GRAFANA_USER)"
        )
    raise ConfigurationError(
        "set KRAJ_GRAFANA_TOKEN_FILE to a file with the token of a service account with the role Admin "
        "(in Grafana: Administration, Service accounts)"
    )


def _secret(file: Path, setting: str) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{setting}: {file} cannot be read: {error}") from error


def _console(settings: "Settings") -> str:
    return settings.public_url or f"http://{settings.api_host}:{settings.api_port}"


def _language(given: str) -> "Language":
    from dashboards.wording import LANGUAGES

    for language in LANGUAGES:
        if given == language:
            return language
    raise ConfigurationError(f"--language {given}: say {' or '.join(LANGUAGES)}")
