"""The Python example of docs/detectors.md runs as it is written there, and the page knows every detector."""

import re
from pathlib import Path

import pytest

from streamvos.models.detectors import DETECTORS
from streamvos.models.entries import ENTRIES

PAGE = (Path(__file__).parent.parent / "docs" / "detectors.md").read_text(encoding="utf-8")


def test_the_example(capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "docs/detectors.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) >= 10


@pytest.mark.parametrize("name", DETECTORS.names())
def test_every_detector_is_told_with_the_command_that_gets_it(name: str):
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    weights = DETECTORS.get(name).weights
    assert (f"streamvos models fetch {weights}" in row) == (weights is not None)
    assert weights is None or ENTRIES[weights].kind == "hub"
    assert ("any words" in row) == (DETECTORS.get(name).names is None)
