"""Public names come when they are asked for, and bring no more with them than they need."""

import subprocess
import sys
from pathlib import Path

import pytest

import streamvos

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["Frame", "InputError", "Answer", "MemoryStats", "__version__"])
def test_a_record_does_not_wait_for_torch(name: str) -> None:
    program = (
        f"import sys; from streamvos import {name}; sys.exit(str([m for m in ('torch', 'ray') if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr.strip() == "[]"


def test_what_is_offered_is_there() -> None:
    assert dir(streamvos) == sorted(streamvos.__all__)
    assert {getattr(streamvos, name).__name__ for name in streamvos.__all__ if name != "__version__"} == {
        name for name in streamvos.__all__ if name != "__version__"
    }
