"""A workspace of the VOT toolkit: what to run, on which sequences, with which trackers, and where results lie.

config.yaml                       the experiment and its measures, written out here, so that nothing is fetched
trackers.ini                      how the toolkit starts each tracker
settings/<tracker>.json           what `eval.vot.tracker` reads
sequences/list.txt, <sequence>/   see `eval.vot.sequences`
results/<tracker>/baseline/<sequence>/<sequence>[_<object>]_001.bin, ..._time.value
"""

from __future__ import annotations

import configparser
import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from eval.datasets.mask_sequences import MaskSequence
from eval.datasets.vot_regions import (
    INITIALIZATION,
    PackedRegions,
    Region,
    Special,
    format_region,
    parse_region,
    read_trajectory,
    write_trajectory,
)
from eval.vot.sequences import VotSequence, read_sequence, write_sequence
from eval.vot.tracker import MakeTracker, settings_of
from streamvos.errors import InputError, unknown_name
from streamvos.foreign_files import read_text

EXPERIMENT = "baseline"
_SEEN = "sequences/visible_px.txt"
_TRAX_TIMEOUT_S = 600  # also for the first reply, which waits for models to load
_CONFIG = f"""\
registry:
  - ./trackers.ini
sequences: sequences
stack:
  title: StreamVOS, as the VOTS validation stacks
  experiments:
    {EXPERIMENT}:
      type: unsupervised
      repetitions: 1
      multiobject: True
      analyses:
        - type: average_accuracy
          name: Quality
          burnin: 0
          ignore_unknown: False
          weighted: False
        - type: longterm_ar
          name: AR
        - type: average_quality_auxiliary
          name: Auxiliary
"""


@dataclass(frozen=True)
class Workspace:
    """A workspace on disk.

    Args:
        root: its folder.
    """

    root: Path

    @property
    def log(self) -> Path:
        """Where trackers write what happens to them."""
        return self.root / "trackers.log"

    def exists(self) -> bool:
        """Whether there is one."""
        return (self.root / "config.yaml").is_file()

    def sequence_names(self, chosen: Sequence[str] | None = None) -> list[str]:
        """All sequences, or those chosen.

        Raises:
            InputError: not a workspace, or an unknown name.
        """
        listing = self.root / "sequences" / "list.txt"
        if not self.exists() or not listing.is_file():
            raise InputError(f"{self.root} is not a VOT workspace: expected config.yaml and sequences/list.txt")
        names = [name for line in read_text(listing, str(listing)).splitlines() if (name := line.strip())]
        if outside := [name for name in names if Path(name).name != name or name == ".."]:
            raise InputError(f"{listing}: expected names of folders beside it, got {outside[0]!r}")
        for name in chosen or ():
            if name not in names:
                raise unknown_name("VOT sequence", name, names)
        return [name for name in names if not chosen or name in chosen]

    def sequence(self, name: str) -> VotSequence:
        """Read one sequence."""
        return read_sequence(self.root / "sequences" / name)

    def results(self, tracker: str, sequence: VotSequence) -> dict[str, PackedRegions] | None:
        """The kept regions of each object, or None where they are not complete."""
        folder = self._results(tracker, sequence.name)
        found = {}
        for name in sequence.objects:
            stem = folder / sequence.result_name(name)
            paths = [path for suffix in (".txt", ".bin") if (path := stem.with_name(stem.name + suffix)).is_file()]
            if not paths:
                return None
            found[name] = read_trajectory(paths[0])
        return found

    def seconds(self, tracker: str, sequence: VotSequence) -> float:
        """Seconds that the tracker took for the sequence, its start included, as they were kept with the results."""
        name = sequence.result_name(next(iter(sequence.objects)))
        path = self._results(tracker, sequence.name) / f"{name}_time.value"
        lines = path.read_text(encoding="utf-8").split() if path.is_file() else []
        return sum(float(line) for line in lines)

    def write_results(
        self, tracker: str, sequence: VotSequence, answers: Mapping[str, Sequence[Region]], seconds: float
    ) -> None:
        """Keep answers as the toolkit keeps them: its mark on the first frame, the masks as it reads them from text."""
        folder = self._results(tracker, sequence.name)
        folder.mkdir(parents=True, exist_ok=True)
        for name, regions in answers.items():
            stem = sequence.result_name(name)
            as_read = (parse_region(format_region(region)) for region in regions[1:])
            times = f"{seconds / len(regions)}\n" * len(regions)
            (folder / f"{stem}_time.value").write_text(times, encoding="utf-8")
            write_trajectory(folder / f"{stem}.part.bin", chain([Special(INITIALIZATION)], as_read))
            (folder / f"{stem}.part.bin").replace(folder / f"{stem}.bin")

    def _results(self, tracker: str, sequence: str) -> Path:
        return self.root / "results" / tracker / EXPERIMENT / sequence


def write_sequences(workspace: Workspace, sequences: Sequence[MaskSequence], visible_px: int = 1) -> None:
    """Write sequences and what to run on them; results that are already there stay.

    Args:
        workspace: made where absent.
        sequences: with truth.
        visible_px: see `eval.vot.sequences.write_sequence`.

    Raises:
        InputError: a sequence that cannot be written, or a place that the toolkit cannot read.
    """
    folder = workspace.root / "sequences"
    if "%" in str(folder):
        raise InputError(f"{workspace.root}: the VOT toolkit cannot read a workspace with % in its path")
    folder.mkdir(parents=True, exist_ok=True)
    (workspace.root / _SEEN).write_text(f"{visible_px}\n", encoding="utf-8")  # first: it says that this is ours
    for sequence in sequences:
        shutil.rmtree(folder / sequence.name, ignore_errors=True)
        write_sequence(sequence, folder / sequence.name, visible_px)
    (folder / "list.txt").write_text("".join(f"{sequence.name}\n" for sequence in sequences), encoding="utf-8")
    (workspace.root / "results").mkdir(exist_ok=True)
    (workspace.root / "config.yaml").write_text(_CONFIG, encoding="utf-8")


def read_visible_px(workspace: Workspace) -> int | None:
    """What `write_sequences` was told, or None where nothing was written."""
    path = workspace.root / _SEEN
    words = path.read_text(encoding="utf-8").split() if path.is_file() else []
    return int(words[0]) if len(words) == 1 and words[0].isdecimal() else None


def write_trackers(workspace: Workspace, trackers: Mapping[str, MakeTracker], protocol: str = "folder") -> None:
    """Make trackers known to the toolkit; others in `trackers.ini` stay.

    Args:
        workspace: with sequences.
        trackers: by the name under which the toolkit is to know them.
        protocol: "folder" or "trax".
    """
    (workspace.root / "settings").mkdir(exist_ok=True)
    known = configparser.ConfigParser(interpolation=None)
    known.read(workspace.root / "trackers.ini", encoding="utf-8")
    for name, make_tracker in trackers.items():
        _settings_file(workspace, name).write_text(json.dumps(settings_of(make_tracker), indent=1), encoding="utf-8")
        known[name] = _section(workspace, name, protocol)
    with (workspace.root / "trackers.ini").open("w", encoding="utf-8") as file:
        known.write(file)


def read_settings(workspace: Workspace, tracker: str) -> dict[str, Any] | None:
    """What `write_trackers` kept of a tracker, or None."""
    path = _settings_file(workspace, tracker)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _settings_file(workspace: Workspace, tracker: str) -> Path:
    return workspace.root / "settings" / f"{tracker}.json"


def _section(workspace: Workspace, name: str, protocol: str) -> dict[str, str]:
    """A tracker for the toolkit; per cent signs are doubled, because its reader of .ini files takes them as marks."""
    words = [sys.executable, "-m", "eval.vot.tracker", "--settings", str(_settings_file(workspace, name))]
    words += ["--protocol", protocol, "--log", str(workspace.log)]
    values = {
        "label": name,
        "protocol": protocol,
        "command": shlex.join(words),
        "env_PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    if protocol == "trax":
        values["timeout"] = str(_TRAX_TIMEOUT_S)
    return {key: value.replace("%", "%%") for key, value in values.items()}
