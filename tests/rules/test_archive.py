"""Checkpoints are read as they were written, and nothing else is read as a checkpoint."""

import io
import zipfile

import numpy as np
import pytest

from kraj.errors import ConfigurationError
from rules import archive


def test_what_is_packed_is_unpacked() -> None:
    arrays = {
        "lamp/since": np.arange(6, dtype=np.int64).reshape(2, 3),
        "lamp/mean": np.array([1.5, np.nan]),
        "flags": np.array([[True], [False]]),
        "nothing": np.empty((0, 4), np.float32),
    }
    document, found = archive.unpack(archive.pack({"format": 1, "čas": None}, arrays))
    assert document == {"format": 1, "čas": None}
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_fill_values_take_little_room() -> None:
    assert len(archive.pack({}, {"much": np.zeros((100_000, 20))})) < 100_000


def altered(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(archive.DOCUMENT, "{}")
        file.writestr(name, content)
    return out.getvalue()


def pickled() -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([{"not": "plain"}], object), allow_pickle=True)
    return altered("x.npy", out.getvalue())


@pytest.mark.parametrize(
    "data",
    [b"", b"PK garbage", archive.pack({}, {"a": np.zeros(99)})[:-30], altered("x.npy", b"\x93NUMPY"), pickled()],
    ids=["empty", "garbage", "cut off", "no array", "pickle"],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigurationError, match="delete it"):
        archive.unpack(data)
