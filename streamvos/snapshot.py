"""Snapshots on disk: nested plain containers with NumPy arrays, as one .npz, without pickle.

A stage's `state_dict()` goes in and comes back equal. Arrays are stored as arrays, everything else as JSON with
the places of the arrays marked; bytes and tuples survive.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from streamvos.errors import IntegrityError

# What zipfile, zlib, NumPy and JSON say of bytes that are not what they should be.
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,  # a size that nothing holds
    RuntimeError,
    SyntaxError,  # of an array's header, which NumPy reads as Python
    TypeError,
    ValueError,
    tokenize.TokenError,
)


def save_snapshot(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path`, first under a temporary name, so that the file is whole or absent, also after a loss of
    power."""
    arrays: dict[str, np.ndarray] = {}
    skeleton = json.dumps(_pack(state, arrays))
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)  # of a run that was killed; what is written now is a new file, never a link
    with part.open("wb") as file:
        np.savez(file, skeleton=np.frombuffer(skeleton.encode(), np.uint8), **arrays)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load_snapshot(path: Path) -> dict[str, Any]:
    """Read what `save_snapshot` wrote; raises `IntegrityError` where the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            state = _unpack(json.loads(bytes(file["skeleton"])), file)
    except (*_DAMAGES, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a place before the file's beginning
            raise
        raise IntegrityError(f"snapshot {path} is damaged ({error}); run again with overwrite=True") from None
    if not isinstance(state, dict):
        raise IntegrityError(f"snapshot {path} is damaged (no table of values); run again with overwrite=True")
    return state


def _pack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("a snapshot holds plain containers and arrays, got an array of objects")
        key = f"a{len(arrays)}"
        arrays[key] = value
        return {"array": key}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, tuple):
        return {"tuple": [_pack(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_pack(item, arrays) for item in value]
    if isinstance(value, dict):  # pairs, so that integer keys stay integers
        return {"dict": [[_pack(key, arrays), _pack(item, arrays)] for key, item in value.items()]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a snapshot holds plain containers and arrays, got {type(value).__name__}")


def _unpack(value: Any, arrays: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, item),) = value.items()
    if kind == "array":
        return arrays[item]
    if kind == "bytes":
        return base64.b64decode(item)
    if kind == "tuple":
        return tuple(_unpack(part, arrays) for part in item)
    if kind == "dict":
        return {_unpack(key, arrays): _unpack(part, arrays) for key, part in item}
    raise ValueError(f"unknown mark {kind!r}")
