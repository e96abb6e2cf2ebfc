"""docs/settings.md, made from the settings themselves: `python -m apps.settings_reference` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from apps.settings import DemoConfig
from pipelines.graph.build import GraphConfig
from streamvos.config import Described, settings_of
from streamvos.export.result_files import OutputConfig
from streamvos.video.info import SourceConfig

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
_HEAD = """# Settings

Written by `python -m apps.settings_reference`; do not edit. What a configuration file (`--config FILE.toml`) may set;
`Session(size=256, detect={"every": 3})` takes the graph's by the same names. A run writes those that it used into
`run.json`, which `--config` takes as it stands. Only the settings of the chosen tracker, policy and refiner exist in a
run: a table of another one is refused.
"""


def all_settings() -> Iterator[Described]:
    """Every setting of a configuration file."""
    yield from settings_of(GraphConfig)
    for name, kind in (("output", OutputConfig), ("source", SourceConfig), ("demo", DemoConfig)):
        yield from settings_of(kind, f"{name}.")


def reference() -> str:
    """The page's text."""
    lines = [_HEAD]
    for (table, only_for), group in groupby(all_settings(), lambda one: (_table(one), one.only_for)):
        lines.append(f"## `[{table}]`\n" if table else "## At the top\n")
        if only_for:
            lines.append(f"Where `{only_for}`.\n")
        lines += ["| setting | default | expected | what it does |", "| :--- | :--- | :--- | :--- |"]
        lines += [_row(one) for one in group]
        lines.append("")
    return "\n".join(lines)


def _table(one: Described) -> str:
    return one.place.rpartition(".")[0]


def _row(one: Described) -> str:
    name = one.place.rpartition(".")[2]
    return f"| `{name}` | {_value(one.default)} | {one.expected} | {one.text} |".replace("\n", " ")


def _value(value: object) -> str:
    """As it would stand in TOML."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{one}"' for one in value) + "]`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}: {len(list(all_settings()))} settings\n")
