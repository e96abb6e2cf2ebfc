"""Imports go one way: apps, eval -> pipelines -> memory_bank -> streamvos."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
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
