"""Settings: what files set reaches the tables, and nothing else does."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from pipelines.graph.build import GraphConfig
from streamvos import config
from streamvos.config import Settings, chosen, setting, table
from streamvos.errors import InputError
from streamvos.video.info import SourceConfig


@dataclass(frozen=True)
class Inner(Settings, at="inner"):
    rate: float = setting(0.5, "how fast", low=0, high=1)
    name: str = setting("a", "what it is called")


@dataclass(frozen=True)
class Cat(Settings, at="cat"):
    lives: int = setting(9, "how many", low=1)


@dataclass(frozen=True)
class Dog(Settings, at="dog"):
    size_m: float = setting(0.6, "how large", above=0)


def _even(text: str) -> None:
    if len(text) % 2:
        raise InputError(f"expected an even number of letters, got {text!r}")


@dataclass(frozen=True)
class Outer(Settings, at=""):
    every: int = setting(5, "how often", low=1)
    on: bool = setting(True, "whether")
    mode: Literal["fast", "fine"] = setting("fast", "how")
    classes: tuple[str, ...] = setting((), "which", names=("cat", "dog"))
    limit: int | None = setting(None, "how many at most", low=0)
    word: str = setting("even", "a word", form=_even)
    pet: str = setting("cat", "who", names=lambda: ("cat", "dog", "none"))
    pet_settings: Settings | None = chosen("pet", lambda: {"cat": Cat, "dog": Dog, "none": None})
    inner: Inner = table(Inner)


def test_values_are_laid_over_the_defaults() -> None:
    values = {"every": 2, "mode": "fine", "classes": ["cat"], "limit": 3, "inner": {"rate": 1}, "cat": {"lives": 7}}
    merged = config.merge(Outer(), values)
    assert merged == Outer(2, True, "fine", ("cat",), 3, pet_settings=Cat(7), inner=Inner(1.0, "a"))
    assert isinstance(merged.inner.rate, float)
    assert config.merge(merged, {"limit": None}).limit is None
    assert config.merge(Outer(), {}) == Outer()


@pytest.mark.parametrize("values", [{}, {"pet": "dog", "dog": {"size_m": 1.0}}, {"pet": "none"}, {"classes": ["dog"]}])
def test_the_resolved_whole_goes_out_and_comes_back(values: dict[str, Any]) -> None:
    merged = config.merge(Outer(), values)
    plain = json.loads(json.dumps(config.to_dict(merged)))
    assert config.merge(Outer(), plain) == merged == config.merge(merged, plain)


def test_only_the_table_of_what_is_chosen_exists() -> None:
    assert config.to_dict(Outer())["cat"] == {"lives": 9} and "dog" not in config.to_dict(Outer())
    dog = config.merge(config.merge(Outer(), {"cat": {"lives": 3}}), {"pet": "dog"})
    assert dog.pet_settings == Dog() and not {"cat", "pet_settings"} & set(config.to_dict(dog))
    assert Outer(pet="none").pet_settings is None
    with pytest.raises(InputError, match="pet is 'dog', got Cat"):
        Outer(pet="dog", pet_settings=Cat())


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown name": ({"evry": 2}, "unknown setting 'evry'; did you mean 'every'"),
    "unknown name inside": ({"inner": {"rat": 2}}, "unknown setting 'inner.rat'; did you mean 'inner.rate'"),
    "text for a number": ({"every": "2"}, "setting every: expected a whole number of at least 1, got '2'"),
    "fraction for a whole number": ({"every": 2.5}, "expected a whole number"),
    "true for a number": ({"every": True}, "expected a whole number of at least 1, got True"),
    "true for a fraction": ({"inner": {"rate": True}}, "setting inner.rate: expected a number from 0 to 1"),
    "below": ({"every": 0}, "setting every: expected a whole number of at least 1, got 0"),
    "beyond": ({"inner": {"rate": 1.5}}, "setting inner.rate: expected a number from 0 to 1, got 1.5"),
    "not a number": ({"inner": {"rate": float("nan")}}, "setting inner.rate: expected a number from 0 to 1, got nan"),
    "endless": ({"pet": "dog", "dog": {"size_m": float("inf")}}, "dog.size_m: expected a number above 0, got inf"),
    "not above": ({"pet": "dog", "dog": {"size_m": 0}}, "dog.size_m: expected a number above 0, got 0.0"),
    "number for yes or no": ({"on": 1}, "expected true or false"),
    "unknown choice": ({"mode": "fin"}, "did you mean 'fine'.*valid: fast, fine"),
    "unknown entry": ({"classes": ["cow"]}, "unknown value of classes 'cow'"),
    "number for a table": ({"inner": 3}, "setting inner: expected a table"),
    "number for a chosen table": ({"cat": 3}, "setting cat: expected a table"),
    "text for a list": ({"classes": "cat"}, "setting classes: expected a list"),
    "text for a number or nothing": ({"limit": "x"}, "setting limit: expected a whole number.*or nothing"),
    "nothing for a number": ({"every": None}, "got None"),
    "another form": ({"word": "odd"}, "setting word: expected an even number of letters, got 'odd'"),
    "settings of another choice": ({"dog": {}}, "settings of 'dog', but pet is 'cat'; set pet = 'dog'"),
    "settings of what has none": ({"pet": "none", "none": {}}, "'none' has no settings"),
    "name of the field": ({"pet_settings": {}}, "unknown setting 'pet_settings'"),
}


@pytest.mark.parametrize(("values", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config.merge(Outer(), values)


def test_a_table_made_by_a_program_is_checked_too() -> None:
    with pytest.raises(InputError, match=r"setting inner.rate: expected a number from 0 to 1, got 2.0"):
        Inner(rate=2)
    with pytest.raises(InputError, match=r"setting inner: expected a table"):
        Outer(inner=3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown value of pet 'cow'"):
        dataclasses.replace(Outer(), pet="cow")


MOVED = {"often": "is now `every`", "old": "is fixed now; leave it out", "inner.speed": "is now `inner.rate`"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"often": 3}, "setting often: is now `every`"),
        ({"old": {"deep": {"er": 1}}}, "setting old: is fixed now"),
        ({"inner": {"speed": 1}}, "setting inner.speed: is now `inner.rate`"),
        ({"inner": {"sped": 1}}, "unknown setting 'inner.sped'"),
    ],
    ids=["moved", "table that is gone", "inside", "never there"],
)
def test_a_setting_that_moved_is_told(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config.merge(Outer(), values, moved=MOVED)


def test_the_reference_knows_every_setting() -> None:
    described = {one.place: one for one in config.settings_of(Outer)}
    assert list(described)[:3] == ["every", "on", "mode"] and {"cat.lives", "dog.size_m", "inner.rate"} < set(described)
    assert described["dog.size_m"].only_for == "pet = dog" and described["inner.rate"].only_for == ""
    assert described["mode"].expected == "one of fast, fine" and described["every"].default == 5
    assert described["inner.rate"].expected == "a number from 0 to 1"


def test_toml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('every = 7\n[inner]\nname = "ü"\n', encoding="utf-8")
    merged = config.merge(Outer(), config.read_settings(path))
    assert merged == dataclasses.replace(Outer(), every=7, inner=Inner(0.5, "ü"))


def test_the_settings_of_a_run_are_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"status": "complete", "config": config.to_dict(Outer(every=3))}))
    assert config.merge(Outer(), config.read_settings(path)) == Outer(every=3)


@pytest.mark.parametrize("content", [b"every = \n", b"\xff\xfe", b"a=1\na=2\n"], ids=["half", "not text", "twice"])
def test_malformed_toml_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"c.toml is not valid TOML"):
        config.read_settings(path)


@pytest.mark.parametrize("content", ["{", "[1]"], ids=["half", "list"])
def test_malformed_json_names_the_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"run.json"):
        config.read_settings(path)


def test_missing_toml_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.toml does not exist"):
        config.read_settings(tmp_path / "none.toml")


@pytest.mark.parametrize("value", [10**400, -(10**400), 2**63, float("nan"), float("inf")])
def test_numbers_beyond_all_sizes_are_refused(value: float) -> None:
    for name in ("seed", "source"):
        values = {"seed": value} if name == "seed" else {"source": {"open_timeout_s": value}}
        with pytest.raises(InputError, match="expected a"):
            config.merge(GraphConfig() if name == "seed" else SourceConfig(), values.get("source", values))
