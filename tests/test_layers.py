"""Imports go one way, in the open; files stay short enough to be read."""

from __future__ import annotations

import ast
import logging
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("apps", "eval", "pipelines", "memory_bank", "streamvos")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAX_LINES, MAX_MEDIAN_LINES = 400, 150
MAX_ENTRIES = 20  # of pipelines/: what one look takes in
cli = pytest.importorskip("importlinter.cli", reason="import-linter is not installed (extra: dev)")


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """The linter sets up logging for a process of its own: it disables all loggers that are there."""
    loggers = [one for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    before = [(one, one.disabled) for one in loggers]
    yield
    for one, disabled in before:
        one.disabled = disabled


def lint(config: Path) -> int:
    return cli.lint_imports(config_filename=str(config), no_cache=True)


def test_no_layer_imports_a_higher_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))
    status = lint(ROOT / "pyproject.toml")
    assert status == 0, capsys.readouterr().out


def test_the_linter_would_notice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, line in (("lower_layer", "import upper_layer\n"), ("upper_layer", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(line)
    config = tmp_path / "pyproject.toml"
    config.write_text(
        '[tool.importlinter]\nroot_packages = ["upper_layer", "lower_layer"]\n[[tool.importlinter.contracts]]\n'
        'name = "one way"\ntype = "layers"\nlayers = ["upper_layer", "lower_layer"]\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lint(config) != 0
    assert "lower_layer is not allowed to import upper_layer" in capsys.readouterr().out
    for name in ("lower_layer", "upper_layer"):
        sys.modules.pop(name, None)


def imports_by_name(tree: ast.AST) -> list[int]:
    """Lines that import what no linter can see."""
    names = {"import_module", "__import__"}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used = {node.id}
        elif isinstance(node, ast.Attribute):
            used = {node.attr}
        elif isinstance(node, ast.ImportFrom):
            used = {alias.name for alias in node.names}
        else:
            continue
        if used & names:
            found.append(node.lineno)
    return found


def test_nothing_is_imported_by_name() -> None:
    found = {str(path.relative_to(ROOT)): imports_by_name(ast.parse(path.read_text("utf-8"))) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line", ["importlib.import_module('a')", "from importlib import import_module as load", "__import__('a')"]
)
def test_imports_by_name_are_found(line: str) -> None:
    assert imports_by_name(ast.parse(line)) == [1]


def test_no_layer_takes_a_public_name_from_the_face_of_the_package() -> None:
    """`streamvos/__init__.py` may import upwards, so whoever imports from it could reach what lies above unseen."""
    import streamvos

    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        and node.module == "streamvos"
        and any(alias.name in streamvos.__all__ for alias in node.names)
    ]
    assert found == []


def num_lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_no_file_is_long() -> None:
    everything = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]
    assert {str(path.relative_to(ROOT)): num_lines(path) for path in everything if num_lines(path) > MAX_LINES} == {}


def test_most_files_are_short() -> None:
    assert len(SOURCES) > 100
    assert statistics.median(map(num_lines, SOURCES)) <= MAX_MEDIAN_LINES


def test_pipelines_shows_few_entries_at_its_top() -> None:
    entries = sorted(path.name for path in (ROOT / "pipelines").iterdir() if path.name != "__pycache__")
    assert len(entries) <= MAX_ENTRIES, entries
