"""The toolkit as a separate program; tests that need it skip where it is not installed."""

import dataclasses
from pathlib import Path

import pytest

from eval.datasets.davis import find_sequences
from eval.metrics.vots import mean_scores
from eval.running.trackers import CopyFirstMask, SessionTracker
from eval.vot.toolkit import ENVIRONMENT_VARIABLE, Toolkit, find_toolkit
from eval.vot.tracker import MakeTracker
from eval.vot.workspace import Workspace, write_sequences, write_trackers
from pipelines.graph.build import GraphConfig
from streamvos.errors import InputError

NAMES = ["pair", "single"]


def workspace_with(davis: Path, root: Path, protocol: str = "folder", **trackers: MakeTracker) -> Workspace:
    workspace = Workspace(root.resolve())
    write_sequences(workspace, find_sequences(davis))
    write_trackers(workspace, trackers, protocol)
    return workspace


def test_our_measures_agree_with_the_toolkit_over_trax(davis: Path, vot: Path, tmp_path: Path) -> None:
    """The folder protocol is run in `test_command`."""
    session = SessionTracker(GraphConfig(stages=("segment",), size=64))
    workspace = workspace_with(davis, tmp_path / "my work", "trax", session=session, copy=CopyFirstMask())
    toolkit = find_toolkit(vot)
    assert toolkit.version() == "vot-toolkit 0.9.0"
    toolkit.evaluate(workspace, ["session", "copy"])
    theirs = toolkit.analyse(workspace, ["session", "copy"], NAMES)
    for tracker, expected in theirs.items():
        scores = []
        for sequence in map(workspace.sequence, NAMES):
            scores.append(sequence.score(workspace.results(tracker, sequence)))
        assert dataclasses.asdict(mean_scores(scores)) == pytest.approx(dataclasses.asdict(expected), abs=1e-9)
    assert theirs["session"].quality > 0.5
    assert toolkit.pack(workspace, "session").stat().st_size > 200


def test_a_tracker_that_fails_is_quoted(davis: Path, vot: Path, tmp_path: Path) -> None:
    workspace = workspace_with(davis, tmp_path / "w", broken=CopyFirstMask())
    (workspace.root / "settings" / "broken.json").write_text('{"method": "sessoin"}')
    with pytest.raises(InputError, match=r"(?s)no results of broken on pair.*unknown method 'sessoin'"):
        find_toolkit(vot).evaluate(workspace, ["broken"])


def test_without_the_toolkit_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"vot-toolkit==0.9.0 attributee==0.1.9"):
        find_toolkit()
    with pytest.raises(InputError, match="is not the VOT toolkit's program"):
        find_toolkit(tmp_path / "vot")


def test_the_environment_names_the_toolkit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "anywhere"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(program))
    assert find_toolkit() == Toolkit(program)
    with pytest.raises(InputError, match="in its own environment"):
        find_toolkit().version()


def test_a_program_that_fails_is_an_error(davis: Path, tmp_path: Path) -> None:
    program = tmp_path / "vot"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    workspace = workspace_with(davis, tmp_path / "w", copy=CopyFirstMask())
    for call in (
        lambda: Toolkit(program).evaluate(workspace, ["copy"]),
        lambda: Toolkit(program).analyse(workspace, ["copy"], NAMES),
        lambda: Toolkit(program).pack(workspace, "copy"),
    ):
        with pytest.raises(InputError, match="status 3"):
            call()


def test_a_place_that_the_toolkit_cannot_read_is_refused(davis: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read a workspace with %"):
        workspace_with(davis, tmp_path / "100%")
