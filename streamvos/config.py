"""Settings: frozen dataclasses whose fields say what they do and what they may be; TOML in, the resolved whole out.

Each stage defines its own tables beside its code, as subclasses of `Settings`. A value is checked when a table is made,
whoever makes it, and trusted after. What can be chosen by name (a tracker, a policy) has a table of its own, and only
that of the chosen one exists. `settings_of` walks everything there is, for the reference in the docs.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from streamvos.errors import InputError, unknown_name

T = TypeVar("T", bound="Settings")

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a list",
    dict: "a table",
}


_LARGEST = 2.0**63  # of all numbers; NaN is no smaller


@dataclass(frozen=True)
class _Rule:
    """What a setting does, and what it may be; see `setting`."""

    text: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    names: tuple[str, ...] | Callable[[], tuple[str, ...]] | None = None
    form: Callable[[str], object] | None = None

    @property
    def choices(self) -> tuple[str, ...] | None:
        return self.names() if callable(self.names) else self.names

    @property
    def span(self) -> str:
        """The range in words, "" where there is none."""
        if self.above is not None:
            return f"above {self.above:g}" + ("" if self.high is None else f" and at most {self.high:g}")
        if self.low is not None and self.high is not None:
            return f"from {self.low:g} to {self.high:g}"
        return f"of at least {self.low:g}" if self.low is not None else ""

    def holds(self, value: float) -> bool:
        """Whether a number is finite, of a size that libraries take, and in the range."""
        fits = (self.low is None or value >= self.low) and (self.high is None or value <= self.high)
        return abs(value) < _LARGEST and fits and (self.above is None or value > self.above)


@dataclass(frozen=True)
class _Choice:
    """A table that exists for the one thing that another field names; see `chosen`."""

    by: str
    kinds: Callable[[], Mapping[str, type[Settings] | None]]


def setting(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    names: tuple[str, ...] | Callable[[], tuple[str, ...]] | None = None,
    form: Callable[[str], object] | None = None,
) -> Any:
    """A field of a `Settings` dataclass.

    Args:
        default: its value where nobody sets it.
        text: what it does, told by its effect; it stands in the reference.
        low, high: smallest and largest value of a number.
        above: a number must be larger than this.
        names: what a text, or each text of a list, may be; a function where a registry knows. A `Literal` knows itself.
        form: raises `InputError` for a text of another form, saying what is expected.
    """
    metadata = {"rule": _Rule(text, low, high, above, names, form)}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def table(kind: type[Settings]) -> Any:
    """A field that is a table of settings."""
    return dataclasses.field(default_factory=kind)


def chosen(by: str, kinds: Callable[[], Mapping[str, type[Settings] | None]]) -> Any:
    """A field that holds the settings of what the field `by`, declared before it, names.

    In files its table is called by that name. A kind of None has no settings: then the field is None.
    """
    return dataclasses.field(default=None, metadata={"chosen": _Choice(by, kinds)})


@dataclass(frozen=True)
class Settings:
    """Base of all tables; a subclass is a frozen dataclass that names its place: `class Shots(Settings, at="shots")`.

    Raises:
        InputError: a value of another type, or out of its range; names the setting and says what is expected.
    """

    _at: ClassVar[str] = ""

    def __init_subclass__(cls, at: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if at is not None:
            cls._at = f"{at}." if at else ""

    def __post_init__(self) -> None:
        hints = _hints(type(self))
        for field in dataclasses.fields(self):
            value, place = getattr(self, field.name), f"{self._at}{field.name}"
            if "chosen" in field.metadata:
                value = _chosen_table(self, field, value)
            elif "rule" in field.metadata:
                value = _checked(value, hints[field.name], field.metadata["rule"], place)
            elif not isinstance(value, hints[field.name]):
                raise InputError(f"setting {place}: expected a table, got {value!r}")
            object.__setattr__(self, field.name, value)


def read_settings(path: Path) -> dict[str, Any]:
    """Settings from a TOML file, or from a `run.json`, whose `config` they are.

    Raises:
        InputError: names the file, and the line where it is malformed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError:
        raise InputError(f"config file {path} does not exist") from None
    except OSError as error:
        raise InputError(f"config file {path} cannot be read ({error.strerror}); expected a TOML file") from None
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise InputError(f"config file {path} is not valid {kind}: {error}") from None
    if path.suffix == ".json" and isinstance(values, dict):
        values = values.get("config", values)
    if not isinstance(values, dict):
        raise InputError(f"config file {path}: expected settings, got {type(values).__name__}")
    return values


def merge(config: T, values: Mapping[str, Any], where: str = "", moved: Mapping[str, str] | None = None) -> T:
    """A copy of a table with nested `values` laid over it.

    Args:
        config: settings.
        values: by name; those of tables nested.
        where: prefix of the names in messages.
        moved: what became of settings that there were, by their old place: what a message says of them.

    Raises:
        InputError: an unknown name, a wrong type or a value out of its range; names the setting.
    """
    _refuse_moved(values, where, moved or {})
    fields = {field.name: field for field in dataclasses.fields(config)}
    hints = _hints(type(config))
    plain = {name for name, field in fields.items() if "chosen" not in field.metadata}
    changed: dict[str, Any] = {}
    for name in plain & set(values):
        place, value, current = f"{where}{name}", values[name], getattr(config, name)
        if isinstance(current, Settings):
            if not isinstance(value, Mapping):
                raise InputError(f"setting {place}: expected a table, got {value!r}")
            changed[name] = merge(current, value, f"{place}.")
        else:
            changed[name] = _checked(value, hints[name], fields[name].metadata["rule"], place)
    rest = {name: value for name, value in values.items() if name not in plain}
    for name, field in fields.items():
        if "chosen" in field.metadata:
            changed[name] = _merge_chosen(config, field, changed, rest, where)
    for name in rest:
        raise unknown_name("setting", f"{where}{name}", [f"{where}{one}" for one in _names_in_files(config)])
    return dataclasses.replace(config, **changed)


def to_dict(config: Settings) -> dict[str, Any]:
    """The settings as plain containers, as a configuration file would hold them."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Settings):
            name = getattr(config, field.metadata["chosen"].by) if "chosen" in field.metadata else field.name
            plain[name] = to_dict(value)
        elif "chosen" not in field.metadata:
            plain[field.name] = list(value) if isinstance(value, tuple) else value
    return plain


@dataclass(frozen=True)
class Described:
    """One setting of the reference.

    Args:
        place: its full name ("detect.every").
        default: its value where nobody sets it.
        text: what it does.
        expected: what it may be, in words.
        choices: the texts that it may be, where it is one of some.
        only_for: where it exists for some choices alone, those ("segment.base = cutie"), with commas; "" elsewhere.
    """

    place: str
    default: Any
    text: str
    expected: str
    choices: tuple[str, ...] | None
    only_for: str = ""


def settings_of(kind: type[Settings], where: str = "", only_for: str = "") -> Iterator[Described]:
    """Every setting there is below a table, those of all choices among them."""
    hints = _hints(kind)
    for field in dataclasses.fields(kind):
        if "chosen" in field.metadata:
            choice = field.metadata["chosen"]
            for name, one in choice.kinds().items():
                if one is not None:
                    condition = f"{where}{choice.by} = {name}"
                    yield from settings_of(one, f"{where}{name}.", ", ".join(filter(None, (only_for, condition))))
        elif "rule" in field.metadata:
            rule, hint = field.metadata["rule"], hints[field.name]
            default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            expected, choices = _expected(hint, rule), _choices(hint, rule)
            yield Described(f"{where}{field.name}", default, rule.text, expected, choices, only_for)
        else:
            yield from settings_of(hints[field.name], f"{where}{field.name}.", only_for)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _bare(hint: Any) -> tuple[Any, bool]:
    """A type hint without its None, and whether there was one."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        options = typing.get_args(hint)
        return next(one for one in options if one is not type(None)), type(None) in options
    return hint, False


def _choices(hint: Any, rule: _Rule) -> tuple[str, ...] | None:
    bare, _ = _bare(hint)
    return typing.get_args(bare) if typing.get_origin(bare) is typing.Literal else rule.choices


def _expected(hint: Any, rule: _Rule) -> str:
    bare, may_be_none = _bare(hint)
    choices = _choices(hint, rule)
    if typing.get_origin(bare) is typing.Literal or (choices and bare is str):
        words = "one of " + ", ".join(choices)
    else:
        words = f"{_KINDS[typing.get_origin(bare) or bare]} {rule.span}".strip()
        words += f" of {', '.join(choices)}" if choices else ""
    return words + (", or nothing" if may_be_none else "")


def _checked(value: Any, hint: Any, rule: _Rule, place: str) -> Any:
    """The value in the type of its setting; raises `InputError` where it does not fit."""
    bare, may_be_none = _bare(hint)
    if value is None and may_be_none:
        return None
    kind, choices = typing.get_origin(bare) or bare, _choices(hint, rule)
    kind = str if kind is typing.Literal else kind
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < _LARGEST else math.inf
    if kind is tuple and isinstance(value, list):
        value = tuple(value)
    if kind is str and rule.form is not None and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)  # a rate without quotes, as people write numbers
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not fits or (kind in (int, float) and not rule.holds(value)):
        raise InputError(f"setting {place}: expected {_expected(hint, rule)}, got {value!r}")
    for text in (value if kind is tuple else (value,)) if choices else ():
        if text not in choices:
            raise unknown_name(f"value of {place}", str(text), choices)
    if rule.form is not None:
        try:
            rule.form(value)
        except InputError as error:
            raise InputError(f"setting {place}: {error}") from None
    return value


def _chosen_table(config: Settings, field: dataclasses.Field, value: Any) -> Settings | None:
    """The table of what is chosen: as given, or its defaults; raises `InputError` for that of another choice."""
    choice = field.metadata["chosen"]
    name = getattr(config, choice.by)
    kind = choice.kinds()[name]
    if value is None:
        return None if kind is None else kind()
    if kind is None or type(value) is not kind:
        raise InputError(
            f"setting {config._at}{field.name}: {choice.by} is {name!r}, "
            f"got {type(value).__name__}, the settings of another one"
        )
    return value


def _merge_chosen(
    config: Settings,
    field: dataclasses.Field,
    changed: Mapping[str, Any],
    rest: dict[str, Any],
    where: str,
) -> Settings | None:
    """The table of what is chosen now, with its part of `rest`, which is taken out of there."""
    choice = field.metadata["chosen"]
    name = changed.get(choice.by, getattr(config, choice.by))
    kinds = choice.kinds()
    current = getattr(config, field.name) if name == getattr(config, choice.by) else None
    current = kinds[name]() if current is None and kinds[name] is not None else current
    for other in [one for one in rest if one in kinds]:
        place, value = f"{where}{other}", rest.pop(other)
        if not isinstance(value, Mapping):
            raise InputError(f"setting {place}: expected a table, got {value!r}")
        if kinds[other] is None:
            raise InputError(f"setting {place}: {other!r} has no settings; leave the table out")
        if other != name:
            raise InputError(
                f"setting {place}: these are settings of {other!r}, but {where}{choice.by} is {name!r}; "
                f"set {where}{choice.by} = {other!r}, or leave the table out"
            )
        current = merge(current, value, f"{place}.")
    return current


def _names_in_files(config: Settings) -> list[str]:
    names: list[str] = []
    for field in dataclasses.fields(config):
        choice = field.metadata.get("chosen")
        names += [field.name] if choice is None else [name for name, kind in choice.kinds().items() if kind]
    return names


def _refuse_moved(values: Mapping[str, Any], where: str, moved: Mapping[str, str]) -> None:
    """Raise `InputError` for a value whose place, or the nearest place above it, is told in `moved`."""
    for name, value in values.items():
        place = f"{where}{name}"
        if isinstance(value, Mapping) and any(old.startswith(f"{place}.") for old in moved):
            _refuse_moved(value, f"{place}.", moved)
        parts = place.split(".")
        for length in range(len(parts), 0, -1):
            told = moved.get(".".join(parts[:length]))
            if told is not None:
                raise InputError(f"setting {place}: {told}")
