"""Files of open data: with ETag, parts of them, packed where that is understood, and for pages of others, too."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

from api.problems import Problem
from kraj.opendata import DATASETS
from kraj.opendata.published import CATALOGUE, CURRENT, MANIFEST, MEDIA, Manifest, ending_of, file_name

PREFIX: Final = "/opendata"
FRESH_S: Final = 60
"""So long nobody need ask again: a municipality that withdraws is out of the files as soon."""
ANYBODY: Final = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "ETag, Content-Length, Content-Range, Accept-Ranges, Last-Modified, Link",
    "cross-origin-resource-policy": "cross-origin",
    "x-robots-tag": "noindex",
}
"""Nothing of the reader comes into it and nothing is anybody's: pages of others may read it."""
ASKED: Final = {
    "access-control-allow-methods": "GET, HEAD",
    "access-control-allow-headers": "Range, If-Range, If-None-Match, If-Modified-Since",
    "access-control-max-age": "86400",
}
NAMES: Final = frozenset(
    {CATALOGUE}
    | {file_name(one, ending) for one in DATASETS.values() for ending in (*one.forms, "csv-metadata.json", "jsonld")}
)
PACKED: Final = ".gz"


@dataclass(frozen=True, slots=True)
class Generation:
    """The files that are valid."""

    folder: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Found:
    """A file; its checksum where the manifest knows it, so that made anew it stays the same unless it has changed."""

    path: Path
    stat: os.stat_result
    sha256: str | None

    @property
    def packed(self) -> bool:
        return self.path.name.endswith(PACKED)

    @property
    def tag(self) -> str:
        """ETag; packed it is another representation."""
        same = self.sha256[:20] if self.sha256 else f"{self.stat.st_mtime_ns:x}-{self.stat.st_size:x}"
        return f'"{same}{"-z" if self.packed else ""}"'


class Files:
    """Finds what was built last; nothing is asked of the database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: Generation | None = None

    def current(self) -> Generation | None:
        """None: nothing was built yet."""
        try:
            target = self._folder / os.readlink(self._folder / CURRENT)
            if self._found is None or self._found.folder != target:
                self._found = Generation(target, Manifest.of((target / MANIFEST).read_text("utf-8")))
        except (OSError, ValueError):
            self._found = None
        return self._found

    def open(self, name: str, *, packed: bool) -> "Found | None":
        """A file, the packed one where there is one; None: not published."""
        found = self.current()
        if found is None or name not in NAMES:
            return None
        for file in (found.folder / (name + PACKED),) * packed + (found.folder / name,):
            try:
                return Found(file, file.stat(), _checksum(found.manifest, name))
            except FileNotFoundError:
                continue
        return None


class Unpacked(GZipMiddleware):
    """Packs all answers but these files, which lie packed and are given in parts."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX + "/"):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def routes(files: Files) -> APIRouter:
    """One route of files."""
    router = APIRouter()

    @router.get(PREFIX + "/{name}")
    @router.head(PREFIX + "/{name}")
    def file(name: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        # Parts are parts of the file itself.
        packed = "range" not in request.headers and "gzip" in request.headers.get("accept-encoding", "")
        found = files.open(name, packed=packed)
        if found is None:
            raise Problem("not_found", 404, path=request.url.path)
        return _given(name, found, request)

    @router.options(PREFIX + "/{name}")
    def asked(name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(status_code=204, headers=ANYBODY | ASKED)

    return router


def _checksum(manifest: Manifest, name: str) -> str | None:
    of, _, ending = name.partition(".")
    made = manifest.sets.get(of)
    file = made.files.get(ending) if made else None
    return file.sha256 if file else None


def _given(name: str, found: Found, request: Request) -> Response:
    ending = ending_of(name) or ""
    media = MEDIA[ending] + ("; charset=utf-8; header=present" if ending == "csv" else "")
    headers = {**ANYBODY, "etag": found.tag, "cache-control": f"public, max-age={FRESH_S}", "vary": "accept-encoding"}
    if ending == "csv":
        headers["link"] = f'<{name}-metadata.json>; rel="describedby"; type="application/csvm+json"'
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if found.tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    if found.packed:
        headers["content-encoding"] = "gzip"
    return FileResponse(found.path, headers=headers, media_type=media, stat_result=found.stat)
