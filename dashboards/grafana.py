"""Grafana's HTTP API: organisations, data sources, folders and dashboards, made what they should be and no more."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx
from grafana_api.api import Api
from grafana_api.model import APIModel, RequestsMethods

from dashboards.source import POSTGRES_UID, PROMETHEUS_UID, Postgres, prometheus_source, source
from kraj.errors import ConfigurationError, UnavailableError

MAJOR_MIN = 11
"""Older ones do not know this data source by its name, nor folders by uid everywhere."""
TIMEOUT_S = 20.0
RETRIES = 1
FOLDER_UID, FOLDER_TITLE = "kraj", "Kraj"


@dataclass(frozen=True, slots=True)
class Access:
    """Where Grafana is, and as whom one comes: by a service account's token, or as the server's administrator."""

    url: str
    token: str | None = None
    user: str | None = None
    password: str | None = None


class Grafana:
    """One organisation of a server; ``organisation`` None is the one to which the access belongs."""

    def __init__(self, access: Access, organisation: int | None = None) -> None:
        self._access = access
        headers = {} if organisation is None else {"X-Grafana-Org-Id": str(organisation)}
        person = {"username": access.user, "password": access.password} if access.token is None else {}
        told: dict[str, Any] = {"token": access.token or "", "headers": headers, **person}
        api = Api(APIModel(host=access.url.rstrip("/"), timeout=TIMEOUT_S, retries=RETRIES, **told))
        self._call: Callable[..., Any] = api.call_the_api  # pyright: ignore[reportUnknownMemberType]

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any] | None:
        """What the server answers; None for what is not there (404).

        Raises ``UnavailableError`` when it is away or ill, ``ConfigurationError`` when it refuses us.
        """
        url = self._access.url
        try:
            text = None if body is None else json.dumps(body)
            answer = self._call(path, RequestsMethods[method], text, response_status_code=True)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise ConfigurationError(f"KRAJ_GRAFANA_URL {url!r} is no address of a server: {error}") from error
        except httpx.HTTPError as error:
            if error.__cause__ is None and isinstance(error, httpx.ConnectError):
                raise _refused(url, str(error)) from error  # the library's way to tell of a wrong token
            raise UnavailableError(
                f"Grafana at {url} cannot be reached ({error}); is it running, and is KRAJ_GRAFANA_URL right?"
            ) from error
        if not isinstance(answer, dict) or isinstance(cast("dict[str, Any]", answer).get("data"), str):
            raise ConfigurationError(
                f"what answers at {url}{path} is no Grafana (or a page before it that asks one to sign in); "
                "set KRAJ_GRAFANA_URL to where its API is"
            )
        judged = self._judged(path, cast("dict[str, Any]", answer))
        if judged is None and method != "GET":
            raise ConfigurationError(f"Grafana at {url} does not know {path}; is it a Grafana, and new enough?")
        return judged

    def _judged(self, path: str, answer: dict[str, Any]) -> dict[str, Any] | None:
        status, url = int(answer["status"]), self._access.url
        said = str(answer.get("message", "")) or f"status {status}"
        if status == HTTPStatus.NOT_FOUND:
            return None
        if status == HTTPStatus.UNAUTHORIZED:
            raise _refused(url, said)
        if status == HTTPStatus.FORBIDDEN:
            raise ConfigurationError(
                f"Grafana at {url} does not let us use {path}: {said}; the token's service account needs the role "
                "Admin, and other organisations need the server's administrator (KRAJ_GRAFANA_PASSWORD_FILE)"
            )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UnavailableError(f"Grafana at {url} failed at {path}: {said}; its log says more")
        if status >= HTTPStatus.BAD_REQUEST:
            raise ConfigurationError(f"Grafana at {url} refused {path}: {said}")
        return answer

    def check(self) -> str:
        """The server's version. Raises ``ConfigurationError`` when it is too old or the access is wrong."""
        version = str((self.ask("GET", "/api/health") or {}).get("version", ""))
        major = version.partition(".")[0]
        if not major.isdigit():
            raise ConfigurationError(f"what answers at {self._access.url} does not say Grafana's version")
        if int(major) < MAJOR_MIN:
            raise ConfigurationError(
                f"Grafana at {self._access.url} is {version}; the dashboards need {MAJOR_MIN} or newer: upgrade it"
            )
        if self.ask("GET", "/api/org") is None:
            raise ConfigurationError(f"what answers at {self._access.url} has no organisations; is it a Grafana?")
        return version

    def organisation(self, name: str) -> tuple[int, bool]:
        """The number of an organisation, and whether it had to be made; only the server's administrator may ask."""
        found = self.ask("GET", f"/api/orgs/name/{quote(name, safe='')}")
        if found is not None:
            return int(found["id"]), False
        made = self.ask("POST", "/api/orgs", {"name": name}) or {}
        return int(made["orgId"]), True


def _refused(url: str, said: str) -> ConfigurationError:
    return ConfigurationError(
        f"Grafana at {url} does not know us: {said}; put a token of a service account with the role Admin into "
        "the file that KRAJ_GRAFANA_TOKEN_FILE names, or the administrator's password into KRAJ_GRAFANA_PASSWORD_FILE"
    )


def push(
    grafana: Grafana, postgres: Postgres, prometheus_url: str | None, dashboards: Mapping[str, dict[str, Any]]
) -> Iterator[str]:
    """Make data sources, folder and dashboards what they should be; a line for each that was not."""
    yield from _source(
        grafana, POSTGRES_UID, source(postgres, hashlib.sha256(postgres.password.encode()).hexdigest()[:16])
    )
    if prometheus_url:
        yield from _source(grafana, PROMETHEUS_UID, prometheus_source(prometheus_url))
    folder = grafana.ask("GET", f"/api/folders/{FOLDER_UID}")
    if folder is None:
        grafana.ask("POST", "/api/folders", {"uid": FOLDER_UID, "title": FOLDER_TITLE})
        yield f"folder {FOLDER_TITLE}: made"
    for document in dashboards.values():
        yield from _dashboard(grafana, document)


def _source(grafana: Grafana, uid: str, wanted: dict[str, Any]) -> Iterator[str]:
    found = grafana.ask("GET", f"/api/datasources/uid/{uid}")
    if found is None:
        grafana.ask("POST", "/api/datasources", wanted)
        yield f"data source {wanted['name']}: made"
    elif not _within({name: value for name, value in wanted.items() if name != "secureJsonData"}, found):
        grafana.ask("PUT", f"/api/datasources/uid/{uid}", wanted)
        yield f"data source {wanted['name']}: changed"


def _dashboard(grafana: Grafana, wanted: dict[str, Any]) -> Iterator[str]:
    found = grafana.ask("GET", f"/api/dashboards/uid/{wanted['uid']}")
    there = found is not None and _plain(found["dashboard"]) == _plain(wanted)
    if there and found is not None and found.get("meta", {}).get("folderUid") == FOLDER_UID:
        return
    document = {**wanted, "id": None if found is None else found["dashboard"].get("id")}
    # Overwriting: what people want otherwise they keep as a dashboard of their own.
    body = {"dashboard": document, "folderUid": FOLDER_UID, "overwrite": True, "message": "kraj dashboards push"}
    grafana.ask("POST", "/api/dashboards/db", body)
    yield f"dashboard {wanted['title']}: {'made' if found is None else 'changed'}"


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """Without the server's own numbers."""
    return {name: value for name, value in document.items() if name not in {"id", "version"}}


def _within(wanted: Any, found: Any) -> bool:
    """Whether everything wanted is so already; servers add fields of their own."""
    if not isinstance(wanted, dict):
        return wanted == found
    some, others = cast("dict[str, Any]", wanted), cast("dict[str, Any]", found if isinstance(found, dict) else {})
    return all(_within(value, others.get(name)) for name, value in some.items())
