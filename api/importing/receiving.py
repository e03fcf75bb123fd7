"""The file of an upload, as the body itself or as a part of a form; whatever is endless is cut while it is read."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from api.problems import Problem
from kraj.importing.table import BYTES_MAX

FORM = "multipart/form-data"
OVERHEAD_BYTES_MAX = 64 * 1024
"""What a form adds to its file."""
NAME_CHARS_MAX = 120
MEDIA = frozenset(
    {
        "text/csv",
        "application/csv",
        "text/plain",
        "text/tab-separated-values",
        "application/vnd.ms-excel",  # what Windows says of .csv
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/geo+json",
        "application/json",
        "application/octet-stream",
    }
)
"""What a body may say that it is; what it truly is, its bytes tell."""


@dataclass(frozen=True, slots=True)
class Received:
    """A file, and the fields that came with it."""

    data: bytes
    name: str
    fields: dict[str, str]


async def received(request: Request) -> Received:
    """The upload; raises ``Problem``: 415 for another type, 413 for too much, 400 for a form without a file."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == FORM:
        return await file_of_form(request)
    if media not in MEDIA:
        raise Problem("import_media", 415, given=media or "?")
    data = b"".join([part async for part in _bounded(request, BYTES_MAX)])
    return Received(data, _name(request.query_params.get("file_name") or "import"), {})


async def file_of_form(request: Request, most: int = BYTES_MAX + OVERHEAD_BYTES_MAX) -> Received:
    """The file and the fields of a form of so many bytes at most; raises ``Problem`` likewise."""
    stream = _bounded(request, most)
    try:
        form = await MultiPartParser(request.headers, stream, max_files=1, max_fields=10, max_part_size=2000).parse()
    except (MultiPartException, MultipartParseError, KeyError, ValueError) as error:
        raise Problem("import_form", 400) from error
    try:
        fields = {name: value.replace("\0", "") for name, value in form.multi_items() if isinstance(value, str)}
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files or not (files[0].filename or files[0].size):
            raise Problem("import_form", 400)
        return Received(await files[0].read(), _name(files[0].filename or "import"), fields)
    finally:
        await form.close()


async def _bounded(request: Request, most: int) -> AsyncGenerator[bytes]:
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Problem("too_large", 413, size_max=most) if most < BYTES_MAX else _too_large()
        yield part


def _too_large() -> Problem:
    return Problem("import_size", 413, limit=BYTES_MAX // 1024**2)


def _name(text: str) -> str:
    """The last part of a path, printable and short."""
    bare = "".join(c for c in text.replace("\\", "/").rpartition("/")[2] if c.isprintable()).strip()
    return bare[-NAME_CHARS_MAX:] or "import"
