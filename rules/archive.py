"""A checkpoint as bytes: a zip of arrays as numpy writes them and a document in JSON; no pickle, nothing is run."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from kraj.errors import ConfigurationError
from rules.state import Array

DOCUMENT = "document.json"
COMPRESSION_LEVEL = 1
"""Most of it is fill values: the fastest level makes them as small as any other."""
BYTES_MAX = 4 * 2**30
"""Unpacked; the state of a million assets is below that."""


def pack(document: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Write a document and arrays by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
        archive.writestr(DOCUMENT, json.dumps(document))
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read what ``pack`` wrote; ``ConfigurationError`` for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > BYTES_MAX:
                raise ConfigurationError("the checkpoint of the rules is larger than any can be: delete it")
            document = json.loads(archive.read(DOCUMENT))
            arrays: dict[str, Array] = {}
            for name in archive.namelist():
                if name != DOCUMENT:
                    with archive.open(name) as member:
                        arrays[name.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise ConfigurationError(
            f"the checkpoint of the rules cannot be read ({error}): delete it, and it is made anew"
        ) from error
    return document, arrays
