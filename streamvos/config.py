"""Configuration: frozen dataclasses in code, TOML from the user, the resolved whole back out into run.json.

Each stage defines its own dataclass beside its code; this module only moves values between them and TOML.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from streamvos.errors import InputError, unknown_name

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; raises `InputError` that names the file and the line where it is malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"config file {path} does not exist") from None
    except OSError as error:
        raise InputError(f"config file {path} cannot be read ({error.strerror}); expected a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"config file {path} is not valid TOML: {error}") from None


def merge(config: T, values: Mapping[str, Any], where: str = "") -> T:
    """A copy of a dataclass with nested `values` laid over it; unknown names and wrong types raise `InputError`."""
    hints = typing.get_type_hints(type(config))
    changed: dict[str, Any] = {}
    for name, value in values.items():
        place = f"{where}{name}"
        if name not in hints:
            raise unknown_name("setting", place, [f"{where}{field}" for field in hints])
        current = getattr(config, name)
        if dataclasses.is_dataclass(current):
            if not isinstance(value, Mapping):
                raise InputError(f"setting {place}: expected a table, got {value!r}")
            changed[name] = merge(current, value, f"{place}.")
        else:
            changed[name] = _typed(value, hints[name], place)
    return dataclasses.replace(config, **changed)


def to_dict(config: Any) -> dict[str, Any]:
    """The resolved configuration as plain containers."""
    return dataclasses.asdict(config)


def _typed(value: Any, hint: Any, place: str) -> Any:
    if isinstance(hint, types.UnionType):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        hint = next(option for option in options if option is not type(None))
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            raise unknown_name(f"value of {place}", str(value), map(str, typing.get_args(hint)))
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    kind = origin or hint
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(f"setting {place}: expected {getattr(kind, '__name__', kind)}, got {value!r}")
    return value
