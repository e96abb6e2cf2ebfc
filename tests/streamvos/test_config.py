"""Settings from TOML reach the dataclass, and nothing else does."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from streamvos import config
from streamvos.errors import InputError


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    name: str = "a"


@dataclass(frozen=True)
class Outer:
    every: int = 5
    on: bool = True
    mode: Literal["fast", "fine"] = "fast"
    classes: tuple[str, ...] = ()
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)


def test_values_are_laid_over_the_defaults() -> None:
    values = {"every": 2, "mode": "fine", "classes": ["cat"], "limit": 3, "inner": {"rate": 1}}
    merged = config.merge(Outer(), values)
    assert merged == Outer(2, True, "fine", ("cat",), 3, Inner(1.0, "a"))
    assert isinstance(merged.inner.rate, float)
    assert config.merge(merged, {"limit": None}).limit is None
    assert config.merge(Outer(), {}) == Outer()


def test_the_resolved_whole_goes_out_and_comes_back() -> None:
    merged = config.merge(Outer(), {"on": False, "inner": {"name": "b"}})
    plain = config.to_dict(merged)
    assert plain["inner"] == {"rate": 0.5, "name": "b"}
    assert config.merge(Outer(), plain) == merged


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown name": ({"evry": 2}, "unknown setting 'evry'; did you mean 'every'"),
    "unknown name inside": ({"inner": {"rat": 2}}, "unknown setting 'inner.rat'; did you mean 'inner.rate'"),
    "text for a number": ({"every": "2"}, "setting every: expected int, got '2'"),
    "fraction for a whole number": ({"every": 2.5}, "expected int"),
    "true for a number": ({"every": True}, "expected int, got True"),
    "true for a fraction": ({"inner": {"rate": True}}, "setting inner.rate: expected float"),
    "number for yes or no": ({"on": 1}, "expected bool"),
    "unknown choice": ({"mode": "fin"}, "did you mean 'fine'.*valid: fast, fine"),
    "number for a table": ({"inner": 3}, "setting inner: expected a table"),
    "text for a list": ({"classes": "cat"}, "setting classes: expected tuple"),
    "text for a number or nothing": ({"limit": "x"}, "setting limit: expected int"),
    "nothing for a number": ({"every": None}, "expected int, got None"),
}


@pytest.mark.parametrize(("values", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config.merge(Outer(), values)


def test_a_config_that_checks_itself_is_checked_after_the_merge() -> None:
    @dataclass(frozen=True)
    class Checked:
        every: int = 1

        def __post_init__(self) -> None:
            if self.every < 1:
                raise InputError("every: at least 1")

    with pytest.raises(InputError, match="at least 1"):
        config.merge(Checked(), {"every": 0})


def test_toml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('every = 7\n[inner]\nname = "ü"\n', encoding="utf-8")
    assert config.merge(Outer(), config.read_toml(path)) == dataclasses.replace(Outer(), every=7, inner=Inner(0.5, "ü"))


@pytest.mark.parametrize("content", [b"every = \n", b"\xff\xfe", b"a=1\na=2\n"], ids=["half", "not text", "twice"])
def test_malformed_toml_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match="c.toml is not valid TOML"):
        config.read_toml(path)


def test_missing_toml_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none.toml does not exist"):
        config.read_toml(tmp_path / "none.toml")
