"""The settings of a configuration file: how many a run has, what each refuses, where they are described."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from apps.settings import RunConfig, read_config
from apps.settings_reference import PAGE, all_settings, reference
from pipelines.graph.build import resolve
from pipelines.graph.moved_settings import MOVED
from streamvos.config import Described
from streamvos.errors import InputError

MOST = 120  # settings that a default run may have


def leaves(table: Mapping[str, Any], where: str = "") -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{where}{name}.")
        else:
            yield f"{where}{name}"


def nested(place: str, value: Any) -> dict[str, Any]:
    """`{"a": {"b": value}}` of "a.b"."""
    for name in reversed(place.split(".")):
        value = {name: value}
    return value


def joined(*tables: Mapping[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for table in tables:
        for name, value in table.items():
            is_table = isinstance(value, Mapping) and isinstance(whole.get(name), Mapping)
            whole[name] = joined(whole[name], value) if is_table else value
    return whole


def read(path: Path, values: Mapping[str, Any]) -> RunConfig:
    """As a file says it; JSON, which a run leaves, holds all kinds of values."""
    (path / "c.json").write_text(json.dumps(values))
    return read_config(path / "c.json", {})[0]


def bad_values(one: Described) -> Iterator[Any]:
    """Values of another kind, and out of the range."""
    yield {"a": "table"} if not isinstance(one.default, dict) else {"": "no name"}
    yield [[]]
    if one.choices:
        yield "no such" if not isinstance(one.default, tuple) else ["no such"]
    if isinstance(one.default, bool):
        yield from ("yes", 1)
    elif isinstance(one.default, int | float) or "number" in one.expected:
        yield from (-math.inf, -1e9, True, "1")
        if " to " in one.expected or "at most" in one.expected:
            yield 1e9 if isinstance(one.default, float) else 10**9
    elif isinstance(one.default, str):
        yield False
        if not one.place.startswith("source."):  # rates may be numbers there
            yield 7


def conditions(one: Described) -> dict[str, Any]:
    """What makes a setting exist."""
    values: dict[str, Any] = {}
    for condition in filter(None, one.only_for.split(", ")):
        place, _, choice = condition.partition(" = ")
        values = joined(values, nested(place, choice))
    return values


@pytest.mark.parametrize(
    "one", list(all_settings()), ids=lambda one: one.place + (one.only_for and f" ({one.only_for})")
)
def test_every_setting_refuses_what_it_cannot_be_and_says_its_name(one: Described, tmp_path: Path) -> None:
    read(tmp_path, joined(conditions(one), nested(one.place, _plain(one.default))))  # its default is fine
    for value in bad_values(one):
        with pytest.raises(InputError) as caught:
            read(tmp_path, joined(conditions(one), nested(one.place, value)))
        message = str(caught.value)
        assert one.place in message and ("expected" in message or "valid: " in message), (value, message)


def test_a_default_run_has_few_settings_and_all_are_described() -> None:
    config = RunConfig(graph=resolve(RunConfig().graph))
    used = set(leaves(config.to_dict()))
    described = {one.place for one in all_settings()}
    assert len(used) <= MOST and used <= described


def test_what_a_run_writes_can_be_given_back(tmp_path: Path) -> None:
    config = RunConfig(graph=resolve(RunConfig().graph))
    assert read(tmp_path, {"status": "complete", "config": config.to_dict()}) == config
    assert read(tmp_path, config.to_dict()) == config


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run python -m apps.settings_reference"


@pytest.mark.parametrize("old", sorted(MOVED))
def test_old_settings_are_told_where_they_went(old: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^setting ") as caught:
        read(tmp_path, nested(old, 1))
    assert MOVED[old] in str(caught.value)
    assert old not in {one.place for one in all_settings()}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
