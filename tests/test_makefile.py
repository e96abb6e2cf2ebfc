"""The set-up's choices, without installing anything."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_without_a_word_torch_is_the_ordinary_one(tmp_path: Path) -> None:
    assert 'test -z "" || .venv/bin/uv' in make(tmp_path, "--dry-run", "setup").stdout


def test_torch_for_the_processor_alone_comes_before_all_else(tmp_path: Path) -> None:
    told = make(tmp_path, "--dry-run", "setup", "TORCH=cpu").stdout
    assert told.index("--torch-backend cpu torch torchvision") < told.index("-e '.[text,dev]'")


@pytest.mark.parametrize("word", ["gpu", "CPU"])
def test_another_word_is_refused_before_anything_is_made(tmp_path: Path, word: str) -> None:
    done = make(tmp_path, "setup", f"TORCH={word}")
    assert done.returncode != 0 and "expected cpu, or nothing" in done.stderr and not (tmp_path / ".venv").exists()
