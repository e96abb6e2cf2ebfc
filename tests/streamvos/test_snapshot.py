"""What goes into a snapshot comes out equal."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamvos.errors import IntegrityError
from streamvos.snapshot import load_snapshot, save_snapshot


def same(one: Any, other: Any) -> bool:
    """Equal in value and in type, arrays also in shape and dtype, dicts also in order."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


VALUES: dict[str, Any] = {
    "nothing": None,
    "numbers": [0, -1, 2**70, 0.1, -0.0, math.inf, True, False],
    "text": ["", "ü\n\x00", "array", "\u2028"],
    "bytes": [b"", bytes(range(256))],
    "nested tuples": (1, (2, [3, (4,)]), ()),
    "keys that are numbers": {3: "a", 1: "b", -2: {}},
    "keys that are tuples": {("a", 1): 2},
    "keys that look like marks": {"array": "a0", "dict": [], "tuple": {"bytes": "x"}},
    "arrays": [np.arange(6, dtype=np.int64).reshape(2, 3), np.zeros((0, 4), np.float16), np.array(3.5)],
    "array of yes and no": {"m": np.array([[True], [False]])},
    "array with holes between": np.arange(20).reshape(4, 5)[::2, ::-2],
    "array of text": np.array(["ab", "c"]),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_round_trip(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "s.npz"
    save_snapshot(path, {"value": value})
    assert same(load_snapshot(path), {"value": value})
    assert [item.name for item in tmp_path.iterdir()] == ["s.npz"]


def test_nan_and_numpy_numbers(tmp_path: Path) -> None:
    save_snapshot(tmp_path / "s.npz", {"nan": math.nan, "number": np.float32(0.5), "count": np.int64(3)})
    back = load_snapshot(tmp_path / "s.npz")
    assert math.isnan(back["nan"]) and back["number"] == 0.5 and back["count"] == 3


def test_a_loaded_array_can_be_written_to(tmp_path: Path) -> None:
    save_snapshot(tmp_path / "s.npz", {"a": np.zeros(3)})
    array = load_snapshot(tmp_path / "s.npz")["a"]
    array[0] = 1
    assert array.tolist() == [1, 0, 0]


@pytest.mark.parametrize("value", [{1, 2}, object(), 1j], ids=["set", "object", "complex"])
def test_other_things_are_refused_and_leave_the_old_file(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "s.npz"
    save_snapshot(path, {"a": 1})
    with pytest.raises(TypeError, match=f"got {type(value).__name__}"):
        save_snapshot(path, {"a": value})
    assert load_snapshot(path) == {"a": 1}


@pytest.mark.parametrize("damage", ["cut off", "empty", "text", "a bit turned"])
def test_damaged_files_are_told(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "s.npz"
    save_snapshot(path, {"a": np.arange(1000)})
    data = bytearray(path.read_bytes())
    if damage == "a bit turned":
        data[len(data) // 2] ^= 1
    path.write_bytes({"cut off": data[:-200], "empty": b"", "text": b"hello"}.get(damage, data))
    with pytest.raises(IntegrityError, match=r"snapshot .*s\.npz is damaged"):
        load_snapshot(path)


def test_a_header_that_is_no_python(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    save_snapshot(path, {"a": np.zeros(3)})
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["a0.npy"] = members["a0.npy"].replace(b"}", b"(", 1)
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    with pytest.raises(IntegrityError, match="is damaged"):
        load_snapshot(path)
