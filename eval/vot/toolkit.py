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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.metrics.vots import VotsScores
from eval.vot.workspace import EXPERIMENT, Workspace
from streamvos.errors import InputError

logger = logging.getLogger(__name__)

ENVIRONMENT_VARIABLE = "STREAMVOS_VOT"
INSTALL = (
    "python3.11 -m venv vot-venv && vot-venv/bin/pip install vot-toolkit==0.9.0 attributee==0.1.9"  # 0.1.10 breaks it
)
_NOWHERE = "http://127.0.0.1:9"  # nothing listens there: the toolkit's look for a newer version fails at once
_LAST_LINES = 15


@dataclass(frozen=True)
class Toolkit:
    """The installed toolkit.

    Args:
        executable: its program `vot`.
    """

    executable: Path

    def evaluate(self, workspace: Workspace, trackers: Sequence[str]) -> None:
        """Run trackers on all sequences of a workspace; what is complete is not run again.

        Raises:
            InputError: the toolkit or a tracker failed; the message ends with the tracker's own words.
        """
        before = workspace.log.stat().st_size if workspace.log.is_file() else 0
        output = self._run(workspace, "evaluate", trackers, before)
        for tracker in trackers:
            for name in workspace.sequence_names():
                if workspace.results(tracker, workspace.sequence(name)) is None:
                    raise _failure(f"no results of {tracker} on {name}", output, workspace, before)

    def analyse(self, workspace: Workspace, trackers: Sequence[str], sequences: Sequence[str]) -> dict[str, VotsScores]:
        """The toolkit's measures of each tracker over the sequences."""
        name = f"streamvos-{os.getpid()}"
        report = workspace.root / "analysis" / f"{name}.json"
        words = ["--name", name, "--sequences", ",".join(sequences), *trackers]
        output = self._run(workspace, "analysis", words)
        if not report.is_file():
            raise _failure("no analysis", output, workspace)
        parts = json.loads(report.read_text(encoding="utf-8"))["results"][EXPERIMENT]["results"]
        report.unlink()
        return {tracker: _scores([part[row] for part in parts]) for row, tracker in enumerate(trackers)}

    def pack(self, workspace: Workspace, tracker: str) -> Path:
        """Pack the results of a tracker as a challenge takes them; returns the archive."""
        before = set(workspace.root.glob(f"{tracker}_*.zip"))
        output = self._run(workspace, "pack", [tracker])
        made = sorted(set(workspace.root.glob(f"{tracker}_*.zip")) - before)
        if len(made) != 1:
            raise _failure("no archive", output, workspace)
        return made[0]

    def _run(self, workspace: Workspace, action: str, words: Sequence[str], log_from: int = 0) -> str:
        command = [str(self.executable), action, "--workspace", str(workspace.root), *words]
        environment = {**os.environ, "VOT_PERSISTENT_CACHE": "false"}
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            environment[name] = _NOWHERE
        environment.pop("PYTHONPATH", None)  # of our environment, not of the toolkit's
        logger.info("running %s", " ".join(command))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
        output = done.stdout + done.stderr
        if done.returncode:
            raise _failure(f"vot {action} ended with status {done.returncode}", output, workspace, log_from)
        return output


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


def _scores(rows: Sequence[Sequence[float | None]]) -> VotsScores:
    """Of one tracker: quality; accuracy, robustness and a point of a plot; NRE, DRE and ADQ."""
    (quality,), (accuracy, robustness, _), (nre, dre, adq) = rows
    return VotsScores(quality, accuracy, robustness, nre, dre, adq)


def _failure(what: str, output: str, workspace: Workspace, log_from: int = 0) -> InputError:
    lines = output.strip().splitlines()[-_LAST_LINES:]
    said = ""
    if workspace.log.is_file():
        with workspace.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(log_from)
            said = "".join(log.readlines()[-_LAST_LINES:])
    parts = [f"the VOT toolkit gave {what}" if what.startswith("no ") else what, *lines]
    return InputError("\n".join([*parts, f"the tracker's log, {workspace.log}:", said] if said else parts))
