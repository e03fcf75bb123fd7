"""Settings, read once at the entry point and passed down: ``KRAJ_*`` variables over a TOML file over defaults."""

import os
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from kraj.errors import ConfigurationError

Port = Annotated[int, Field(ge=0, le=65535)]


def state_dir_default() -> Path:
    """``/var/lib/kraj`` for root, else the user's state folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/kraj")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "kraj"


class Settings(BaseSettings):
    """Everything an installation can set; each field is documented by its description."""

    model_config = SettingsConfigDict(env_prefix="KRAJ_", env_ignore_empty=True, extra="forbid", frozen=True)

    state_dir: Path = Field(
        default_factory=state_dir_default,
        description="Folder of the embedded database, the broker's files and secrets.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL to use instead of the embedded one, as the owner of the schema "
        "(postgresql://user:password@host/database).",
    )
    ingest_database_url: SecretStr | None = Field(
        default=None, description="The same server for ingest, as kraj_ingest; without it ingest uses database_url."
    )
    api_database_url: SecretStr | None = Field(
        default=None, description="The same server for the API, as kraj_api; without it the API uses database_url."
    )
    notify_database_url: SecretStr | None = Field(
        default=None, description="The same server for notifications, as kraj_notify; without it they use database_url."
    )
    rollup_database_url: SecretStr | None = Field(
        default=None, description="The same server for rollups, as kraj_rollup; without it they use database_url."
    )
    mqtt_host: str = Field(
        default="127.0.0.1", description="Broker to connect to: a host, or the path of a Unix socket for ingest."
    )
    mqtt_port: Port = Field(default=1883, description="Port of the broker; 0 takes a free one in the demo.")
    mqtt_username: str | None = Field(default=None, description="User name of this service at the broker.")
    mqtt_password_file: Path | None = Field(default=None, description="File that holds the password at the broker.")
    mqtt_ca_file: Path | None = Field(
        default=None, description="Roots (PEM) by which this service knows the broker; with it the connection is TLS."
    )
    mqtt_certificate_file: Path | None = Field(
        default=None, description="Certificate (PEM, with the one above it) by which the broker knows this service."
    )
    mqtt_key_file: Path | None = Field(default=None, description="The key of that certificate (PEM, mode 0600).")
    broker_host: str = Field(
        default="127.0.0.1",
        description="Address on which the broker of `kraj up` hears devices, by mutual TLS; 0.0.0.0 is every one.",
    )
    broker_names: str = Field(
        default="",
        description="Host names and addresses by which devices reach that broker, joined by commas; its certificate "
        "bears them besides localhost.",
    )
    foreign_port: Port = Field(
        default=0,
        description="Port on which the broker of `kraj up` hears other makers' devices, by TLS and passwords (8884 is "
        "usual); 0 is none.",
    )
    authority_dir: Path | None = Field(
        default=None, description="Folder of the certificate authority; without it: authority in state_dir."
    )
    archive_dir: Path | None = Field(
        default=None,
        description="Folder of archived readings, best on another disk; without it: archive in state_dir.",
    )
    opendata_dir: Path | None = Field(
        default=None, description="Folder of the files of open data; without it: opendata in state_dir."
    )
    opendata_publisher: str | None = Field(
        default=None, description="Who publishes open data (Kraj Vysočina), as the catalogue and the licence name them."
    )
    opendata_publisher_iri: Annotated[str, Field(pattern=r"^https://\S+$")] | None = Field(
        default=None,
        description="Their IRI in the register of rights and duties "
        "(https://rpp-opendata.egon.gov.cz/odrpp/zdroj/orgán-veřejné-moci/ and the number of identification).",
    )
    opendata_contact: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | None = Field(
        default=None, description="E-mail for questions about open data."
    )
    accessibility_contact: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | None = Field(
        default=None, description="E-mail for what somebody cannot use, shown in the accessibility statement."
    )
    opendata_ruian: Annotated[str, Field(pattern=r"^[a-z]+/[0-9]+$")] = Field(
        default="stat/1", description="Element of RÚIAN that open data cover: vusc/108 is a region, obec/502235 a town."
    )
    ingest_slot: Annotated[str, Field(pattern=r"^slot_[0-9]{1,4}$")] = Field(
        default="slot_0", description="The slot that this ingest serves: client id and database lock."
    )
    ingest_window: Annotated[int, Field(ge=100, le=65535)] = Field(
        default=10_000, description="Messages in flight: received from the broker and not yet acknowledged."
    )
    ingest_batch_messages: Annotated[int, Field(ge=1, le=50_000)] = Field(
        default=4000, description="Messages in one transaction, about."
    )
    ingest_linger_ms: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=20, description="How long the first reading of a batch waits for company."
    )
    ingest_acknowledge_devices: bool = Field(
        default=True, description="Publish `ack` to the devices; off only to measure what that costs."
    )
    ingest_rules: bool = Field(
        default=True, description="Judge readings by the rules; off only to measure what that costs."
    )
    ingest_metrics_port: Port = Field(default=0, description="Port of ingest's /metrics on loopback; 0 is a free one.")
    rollup_metrics_port: Port = Field(
        default=0, description="Port of the rollups' /metrics on loopback; 0 is a free one."
    )
    api_host: str = Field(
        default="127.0.0.1", description="Address of the API; beyond loopback only with an https public_url in front."
    )
    api_port: Port = Field(default=8080, description="Port of the API and the pages.")
    api_share_per_s: Annotated[float, Field(ge=0, le=100_000)] = Field(
        default=50.0,
        description="Requests a second that the programs of one municipality may make for long, and as many its people "
        "at browsers; 0 is no limit. People of the region are not limited.",
    )
    api_share_burst: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=1000, description="Requests that they may make at once, before that counts."
    )
    public_url: str | None = Field(
        default=None, description="Where people reach the pages; messages link there. Without it: the API's address."
    )
    api_proxies: str = Field(
        default="127.0.0.1",
        description="Addresses of the proxy in front of the API, joined by commas; its X-Forwarded-… are believed.",
    )
    mail_url_file: Path | None = Field(
        default=None,
        description="File with the mail server for invitations, resets and plain addresses of whom to tell, as apprise "
        "has it (mailtos://user:password@server?from=kraj@example.cz).",
    )
    push_key_file: Path | None = Field(
        default=None, description="File with the key (PEM, P-256) that signs messages to telephones; for notifications."
    )
    push_public_key: str | None = Field(
        default=None, description="Its public key, by which browsers know us (base64url); for the API."
    )
    oidc_issuer: str | None = Field(
        default=None, description="Issuer of OpenID Connect with which people sign in (https://login.example.cz)."
    )
    oidc_client_id: str | None = Field(default=None, description="What the issuer calls this installation.")
    oidc_client_secret_file: Path | None = Field(default=None, description="File with the secret that it gave to it.")
    database_port: Port = Field(
        default=0,
        description="Port of loopback on which the embedded database listens besides its Unix socket, for Grafana on "
        "this machine (5433 is usual); 0 is none.",
    )
    grafana_url: str | None = Field(default=None, description="Where Grafana is (https://grafana.example.cz).")
    grafana_token_file: Path | None = Field(
        default=None,
        description="File with the token of a service account with the role Admin, of the region's organisation.",
    )
    grafana_user: str = Field(default="admin", description="Grafana's server administrator.")
    grafana_password_file: Path | None = Field(
        default=None, description="File with that administrator's password; organisations are made with it only."
    )
    grafana_database: str | None = Field(
        default=None,
        description="host:port by which Grafana reaches the database; without it: that of database_url, or loopback "
        "with database_port.",
    )
    grafana_database_tls: Annotated[str, Field(pattern="^(disable|require|verify-ca|verify-full)$")] | None = Field(
        default=None, description="TLS on the way there; without it: disable on loopback, elsewhere require."
    )
    grafana_prometheus_url: str | None = Field(
        default=None, description="Where Grafana finds the Prometheus that reads /metrics; without it: no data source."
    )
    clock_offset_s: float = Field(
        default=0.0, description="Seconds added to the wall clock by every process of a demo; 0 is the real time."
    )
    log_format: Annotated[str, Field(pattern="^(text|json)$")] = Field(
        default="text", description="text for people, json for machines."
    )

    @property
    def authority_folder(self) -> Path:
        return self.authority_dir or self.state_dir / "authority"

    @property
    def archive_folder(self) -> Path:
        return self.archive_dir or self.state_dir / "archive"

    @property
    def opendata_folder(self) -> Path:
        return self.opendata_dir or self.state_dir / "opendata"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = os.environ.get("KRAJ_CONFIG")
        sources = (init_settings, env_settings)
        return (*sources, TomlConfigSettingsSource(settings_cls, Path(file))) if file else sources


def load(**overrides: object) -> Settings:
    """Read the settings; raise ``ConfigurationError`` that names each wrong field and its remedy."""
    file = os.environ.get("KRAJ_CONFIG")
    if file and not Path(file).is_file():
        raise ConfigurationError(f"KRAJ_CONFIG names {file}, which is not a file")
    known = {f"KRAJ_{name.upper()}" for name in Settings.model_fields} | {"KRAJ_CONFIG"}
    unknown = sorted(name for name in os.environ if name.startswith("KRAJ_") and name not in known)
    if unknown:
        raise ConfigurationError(f"unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    try:
        return Settings(**{k: v for k, v in overrides.items() if v is not None})  # pyright: ignore[reportArgumentType]
    except ValidationError as error:
        lines = (f"KRAJ_{'_'.join(str(p) for p in e['loc']).upper()}: {e['msg']}" for e in error.errors())
        raise ConfigurationError("; ".join(lines)) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"KRAJ_CONFIG: {file} cannot be read as TOML: {error}") from error
