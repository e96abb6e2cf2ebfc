"""Damage to JSON and TOML that leaves it valid: values of other kinds, keys that are lost, nesting without end."""

from __future__ import annotations

import copy
import json
import random
import tomllib
from typing import Any

from tests.tools.fuzz import damage_text

_DEEP = 100_000
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 255, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400),
    *(0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), float("-inf"), "", "x", "1", "-1", "nan", "1e99999999"),
    *("\ud800", "\x00", "../../x", "/", ".", "..", "a" * 3000, "é", [], {}, [[]], [None], {"": None}, {"a": {"b": []}}),
    *([1, 2, 3, 4], [1e308] * 4, [-1, -1, -1, -1], [[0, 0], [1, 1]], ["a"], [2**70] * 2, [{}], {"0": 0}),
)


def damaged(data: bytes, draw: random.Random) -> bytes:
    """A copy of a JSON text with another tree, or with damage of text."""
    if draw.random() < 0.15:
        return _odd_text(data, draw)
    try:
        return _dumped(_changed(json.loads(data), draw))
    except (ValueError, RecursionError):  # damaged already, or nested too deep to be copied
        return damage_text.damaged(data, draw)


def damaged_lines(data: bytes, draw: random.Random) -> bytes:
    """A copy of a text whose lines are JSON each, one of them damaged."""
    lines = data.split(b"\n")
    place = draw.randrange(len(lines))
    if draw.random() < 0.2:
        lines[place : place + 1] = draw.choice([[], [lines[place]] * 2, [b""], [draw.choice(lines)]])
    else:
        tail = b"," if lines[place].endswith(b",") else b""
        lines[place] = damaged(lines[place].rstrip(b","), draw) + tail
    return b"\n".join(lines)


def damaged_toml(data: bytes, draw: random.Random) -> bytes:
    """A copy of a TOML text with another tree, or with damage of text."""
    if draw.random() < 0.3:
        return damage_text.damaged(data, draw)
    try:
        tree = _changed(tomllib.loads(data.decode()), draw)
    except (ValueError, RecursionError):
        return damage_text.damaged(data, draw)
    if not isinstance(tree, dict):
        return data
    try:
        lines = [f"{json.dumps(name)} = {_toml(value)}" for name, value in tree.items() if value is not None]
    except (ValueError, RecursionError):
        return b"a = " + b"[" * _DEEP
    return "\n".join(lines).encode(errors="replace")


def _changed(tree: Any, draw: random.Random) -> Any:
    """A copy of a tree with one change at one of its places."""
    tree = copy.deepcopy(tree)
    places = _places(tree)
    if not places:
        return copy.deepcopy(draw.choice(_VALUES))
    holder, key = draw.choice(places)
    kind = draw.choice(["value", "value", "value", "like", "drop", "rename", "twice", "swap", "wrap", "nest"])
    value = holder[key]
    if kind == "value":
        holder[key] = copy.deepcopy(draw.choice(_VALUES))
    elif kind == "like" and isinstance(value, int | float):
        holder[key] = draw.choice([-value, value + 1, value * 1000, float(value), str(value), value * 10**12])
    elif kind == "drop":
        del holder[key]
    elif kind == "rename" and isinstance(holder, dict):
        holder[draw.choice(["", key.upper(), f"{key}s", "id", "\ud800", "__class__"])] = holder.pop(key)
    elif kind == "twice" and isinstance(holder, list):
        holder[key:key] = [copy.deepcopy(value) for _ in range(draw.choice([1, 1, 3, 1000]))]
    elif kind == "swap":
        other, place = draw.choice(places)
        holder[key] = copy.deepcopy(other[place]) if place in _keys(other) else None
    elif kind == "wrap":
        holder[key] = draw.choice([[value], {"value": value}, [[value]]])
    else:
        for _ in range(draw.choice([3, 50, 400])):
            value = [value]
        holder[key] = value
    return tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Each value below a tree, as what holds it and the key there."""
    found, waiting = [], [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            found += [(one, key) for key in _keys(one)]
            waiting += [one[key] for key in _keys(one)]
    return found


def _keys(holder: Any) -> list[Any]:
    return list(holder) if isinstance(holder, dict) else list(range(len(holder)))


def _dumped(tree: Any) -> bytes:
    try:
        return json.dumps(tree).encode()
    except (ValueError, RecursionError):  # numbers of more digits than Python writes
        return b"[" * _DEEP


def _odd_text(data: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.1:
        return draw.choice([b"[" * _DEEP, b'{"a":' * _DEEP, b"[" * 900 + b"]" * 900])
    return damage_text.damaged(data, draw)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(str(key))} = {_toml(one)}" for key, one in value.items() if one is not None)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value if one is not None) + "]"
    if isinstance(value, float):
        return repr(value) if "e" not in repr(value) else f"{value:e}"
    return json.dumps(value, default=str)
