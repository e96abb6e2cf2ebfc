"""Run the VOT toolkit as a separate program, offline.

It is licensed under the GPL 3 and wants versions of other packages that we do not, so it lives in an environment of its
own and is never imported; what passes between us are files.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.metrics.vots import MEASURES, VotsScores
from eval.vot.workspace import EXPERIMENT, Workspace
from streamvos.errors import InputError

logger = logging.getLogger(__name__)

ENVIRONMENT_VARIABLE = "STREAMVOS_VOT"
INSTALL = (
    "python3.11 -m venv vot-venv && vot-venv/bin/pip install vot-toolkit==0.9.0 attributee==0.1.9"  # 0.1.10 breaks it
)
_NOWHERE = "http://127.0.0.1:9"  # nothing listens there: the toolkit's look for a newer version fails at once
_LAST_LINES = 15
_MEASURES_OF = {
    "AverageAccuracy": ("quality",),
    "AccuracyRobustness": ("accuracy", "robustness"),
    "AverageQualityAuxiliary": ("nre", "dre", "adq"),
}


@dataclass(frozen=True)
class Toolkit:
    """The installed toolkit.

    Args:
        executable: its program `vot`.
    """

    executable: Path

    def version(self) -> str:
        """Name and version of the toolkit; raises `InputError` where the program is not the toolkit's."""
        interpreter = self.executable.parent / ("python.exe" if os.name == "nt" else "python")
        code = "import importlib.metadata as m; print(m.version('vot-toolkit'))"
        try:
            done = subprocess.run(
                [interpreter, "-c", code], capture_output=True, text=True, env=_environment(), check=True
            )
        except (OSError, subprocess.CalledProcessError):
            raise InputError(f"{self.executable}: expected the VOT toolkit's program in its own environment") from None
        return f"vot-toolkit {done.stdout.strip()}"

    def evaluate(self, workspace: Workspace, trackers: Sequence[str]) -> None:
        """Run trackers on all sequences of a workspace; what is complete is not run again.

        Raises:
            InputError: the toolkit or a tracker failed; the message ends with the tracker's own words.
        """
        before = workspace.log.stat().st_size if workspace.log.is_file() else 0
        status = self._run(workspace, "evaluate", ["--experiments", EXPERIMENT, *trackers])
        for tracker in trackers:
            for name in workspace.sequence_names():
                if status or workspace.results(tracker, workspace.sequence(name)) is None:
                    what = f"the VOT toolkit got no results of {tracker} on {name} (status {status}, its words above)"
                    raise InputError(what + _last_words(workspace.log, before))

    def analyse(self, workspace: Workspace, trackers: Sequence[str], sequences: Sequence[str]) -> dict[str, VotsScores]:
        """The toolkit's measures of each tracker over the sequences; None for those not in the workspace's stack.

        Raises:
            InputError: the toolkit failed.
        """
        name = f"streamvos-{os.getpid()}"
        report = workspace.root / "analysis" / f"{name}.json"
        words = ["--name", name, "--experiments", EXPERIMENT, "--sequences", ",".join(sequences), *trackers]
        status = self._run(workspace, "analysis", words)
        if status or not report.is_file():
            raise InputError(f"the VOT toolkit gave no analysis (status {status}, its words above)")
        experiment = json.loads(report.read_text(encoding="utf-8"))["results"][EXPERIMENT]
        report.unlink()
        return {tracker: _scores(experiment, row) for row, tracker in enumerate(trackers)}

    def pack(self, workspace: Workspace, tracker: str) -> Path:
        """Pack the results of a tracker as a challenge takes them; returns the archive.

        Raises:
            InputError: the toolkit failed, or results are not complete.
        """
        before = set(workspace.root.glob(f"{tracker}_*.zip"))
        status = self._run(workspace, "pack", [tracker])
        made = sorted(set(workspace.root.glob(f"{tracker}_*.zip")) - before)
        if status or len(made) != 1:
            raise InputError(f"the VOT toolkit gave no archive (status {status}, its words above)")
        return made[0]

    def _run(self, workspace: Workspace, action: str, words: Sequence[str]) -> int:
        """Its exit status; its words go where ours do."""
        command = [str(self.executable), action, "--workspace", str(workspace.root), *words]
        logger.info("running %s", " ".join(command))
        return subprocess.run(command, env=_environment(), stdout=subprocess.DEVNULL).returncode


def find_toolkit(executable: Path | None = None) -> Toolkit:
    """The toolkit that is given, or named by STREAMVOS_VOT, or on the PATH.

    Raises:
        InputError: there is none; the message says how to install it.
    """
    named = executable or (Path(os.environ[ENVIRONMENT_VARIABLE]) if os.environ.get(ENVIRONMENT_VARIABLE) else None)
    path = named or (Path(found) if (found := shutil.which("vot")) else None)
    if path is not None and path.is_file() and os.access(path, os.X_OK):
        return Toolkit(path.absolute())
    missing = "the VOT toolkit is not here" if path is None else f"{path} is not the VOT toolkit's program"
    raise InputError(
        f"{missing}: expected its program `vot` by --toolkit PATH, by {ENVIRONMENT_VARIABLE} or on the PATH. "
        f"It needs an environment of its own: {INSTALL}, then --toolkit vot-venv/bin/vot. "
        "Or give --no-toolkit for our measures alone"
    )


def _scores(experiment: Mapping[str, Any], row: int) -> VotsScores:
    """Of the tracker in one row: the kinds of analysis that give the measures, and where in them they stand."""
    values: dict[str, float | None] = dict.fromkeys(MEASURES)
    for analysis, rows in zip(experiment["parameters"]["analyses"], experiment["results"], strict=True):
        names = _MEASURES_OF.get(analysis["type"].rpartition(".")[2], ())
        values.update(zip(names, rows[row], strict=False))
    return VotsScores(**values)


def peak_rss_of_children_mib() -> dict[str, float]:
    """The most memory that a process which ended under us has had, as a note of a result; none on Windows."""
    try:
        import resource
    except ImportError:
        return {}
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    return {"peak_rss_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 2**20, 1)}


def _environment() -> dict[str, str]:
    environment = {**os.environ, "VOT_PERSISTENT_CACHE": "false"}  # it would answer from results that are gone
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        environment[name] = _NOWHERE
    environment.pop("PYTHONPATH", None)  # of our environment, not of the toolkit's
    return environment


def _last_words(log: Path, start: int) -> str:
    """The end of what trackers wrote since `start`."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode("utf-8", "replace").splitlines()[-_LAST_LINES:]
    return "\n".join([f"\nthe tracker's log, {log}:", *lines])
