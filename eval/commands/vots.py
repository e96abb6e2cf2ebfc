"""`streamvos eval vots`: the VOT toolkit and our own measures on the same results, side by side."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.datasets.davis import find_sequences
from eval.datasets.vot_regions import Mask
from eval.metrics.vots import MEASURES, VotsScores, mean_scores
from eval.reporting.results import Headline, bars
from eval.running.harness import SequenceScores, add_options, frames_per_second, graph_config, publish, score_sequences
from eval.running.trackers import CopyFirstMask, SessionTracker
from eval.vot.folder_protocol import Query
from eval.vot.follow import follow
from eval.vot.sequences import VotSequence
from eval.vot.toolkit import Toolkit, find_toolkit, peak_rss_of_children_mib
from eval.vot.tracker import PROTOCOLS, MakeTracker, settings_of, tracker_from
from eval.vot.workspace import Workspace, read_settings, read_visible_px, write_sequences, write_trackers
from streamvos.errors import InputError

logger = logging.getLogger(__name__)

OURS, BASELINE = "streamvos", "copy-first-mask"
TITLES = {OURS: "StreamVOS", BASELINE: "copy of the first mask"}
_TOLERANCE = 1e-6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval vots`."""
    add = parser.add_argument
    add("root", type=Path, nargs="?", help="folder with JPEGImages and Annotations; none: the workspace as it stands")
    add_options(parser, "vots")
    add("--resolution", default="480p", metavar="FOLDER", help="(default: %(default)s)")
    add(
        "--visible-px",
        type=int,
        default=1,
        metavar="N",
        help="an object is given in the first frame with so many pixels of it (default: 1)",
    )
    add("--workspace", dest="out", type=Path, metavar="DIR", help="the VOT workspace, the same as --out")
    add("--toolkit", type=Path, metavar="PATH", help="program vot of the toolkit (default: $STREAMVOS_VOT, or vot)")
    add("--no-toolkit", action="store_true", help="track and measure here, in the toolkit's layout, without it")
    add("--protocol", choices=PROTOCOLS, default="folder", help="how the toolkit talks to us (default: %(default)s)")
    add("--pack", action="store_true", help="also pack the results as a challenge takes them")


def run(args: argparse.Namespace) -> int:
    """Track, measure twice, print, pack and save."""
    if args.visible_px < 1:
        raise InputError(f"--visible-px: expected 1 or more, got {args.visible_px}")
    if args.out is None:
        raise InputError("eval vots: expected --workspace DIR, where sequences and results are kept")
    if args.no_toolkit and args.pack:
        raise InputError("--pack is done by the toolkit: leave out --no-toolkit")
    toolkit = None if args.no_toolkit else find_toolkit(args.toolkit)
    trackers: dict[str, MakeTracker] = {OURS: SessionTracker(graph_config(args, stages=["segment"]))}
    if args.baseline:
        trackers[BASELINE] = CopyFirstMask()
    workspace = _prepared(args, trackers)
    names = workspace.sequence_names(args.sequences)
    if toolkit is not None:
        _check_whole(workspace, list(trackers), names)
        toolkit.evaluate(workspace, list(trackers))
    results = {tracker: _measured(workspace, tracker, names, args) for tracker in trackers}
    theirs = {} if toolkit is None else toolkit.analyse(workspace, list(trackers), names)
    if toolkit is not None and args.pack:
        sys.stdout.write(f"{toolkit.pack(workspace, OURS)}\n")
    means = {tracker: _mean(results[tracker]) for tracker in trackers}
    baseline = means[BASELINE].quality if args.baseline else None
    rows = _rows(results, theirs)
    return publish(
        args,
        rows,
        results[OURS],
        data=f"{'DAVIS layout' if args.root else 'VOT workspace'}, {len(names)} sequences: {', '.join(names)}",
        path_names=_path_names(args),
        headline=Headline("VOTS quality", round(means[OURS].quality, 4), _rounded(baseline), TITLES[BASELINE]),
        plot=bars(rows[: len(names) + 1], "sequence", ("quality", "accuracy", "robustness"), "share"),
        notes=_notes(args, toolkit),
    )


@dataclass(frozen=True)
class VotsTask:
    """Measures the kept results of one sequence, and makes them first where the toolkit has not.

    Args:
        root: the workspace.
        tracker: by its name there.
    """

    root: Path
    tracker: str

    def __call__(self, name: str) -> SequenceScores:
        workspace = Workspace(self.root)
        sequence = workspace.sequence(name)
        if workspace.results(self.tracker, sequence) is None:
            start = time.perf_counter()
            answers = _track(sequence, tracker_from(read_settings(workspace, self.tracker)))
            workspace.write_results(self.tracker, sequence, answers, time.perf_counter() - start)
        results = workspace.results(self.tracker, sequence)
        scores = sequence.score(results)
        seconds = workspace.seconds(self.tracker, sequence)
        kept = {"objects": len(sequence.objects), "measures": dataclasses.asdict(scores)}
        return SequenceScores(name, len(sequence.frames), seconds, kept)


def _prepared(args: argparse.Namespace, trackers: Mapping[str, MakeTracker]) -> Workspace:
    """The workspace, written from the DAVIS folder, or as it stands; nobody's results are replaced unasked."""
    workspace = Workspace(args.out.resolve())
    if args.root is None:
        if args.overwrite:
            raise InputError("--overwrite writes the workspace anew: give the folder with JPEGImages and Annotations")
        workspace.sequence_names(args.sequences)
    else:
        sequences = find_sequences(args.root, args.sequences, args.resolution)
        is_ours = read_visible_px(workspace) is not None
        if workspace.root.exists() and any(workspace.root.iterdir()) and not is_ours:
            raise InputError(
                f"{args.out} is not empty and is no VOT workspace that eval vots wrote: choose another --workspace"
                + (", or leave out the folder to use it as it stands" if workspace.exists() else "")
            )
        if args.overwrite and is_ours:
            shutil.rmtree(workspace.root)
        elif is_ours and not args.resume:
            raise InputError(f"{args.out} is a VOT workspace: --resume goes on with it, --overwrite replaces it")
        before = read_visible_px(workspace)
        if before not in (None, args.visible_px):
            raise InputError(f"{args.out} was written with --visible-px {before}: use that, or --overwrite")
        write_sequences(workspace, sequences, args.visible_px)
    for name, make_tracker in trackers.items():
        before = read_settings(workspace, name)
        if before is not None and before != json.loads(json.dumps(settings_of(make_tracker))):
            raise InputError(f"{args.out} holds results of {name} with other settings: use those, or --overwrite")
    write_trackers(workspace, trackers, args.protocol)
    return workspace


def _check_whole(workspace: Workspace, trackers: Sequence[str], names: Sequence[str]) -> None:
    """The toolkit knows no choice of sequences: it would run those that were not chosen, too, perhaps for hours."""
    others = [name for name in workspace.sequence_names() if name not in names]
    missing = [
        name for name in others if any(workspace.results(one, workspace.sequence(name)) is None for one in trackers)
    ]
    if missing:
        raise InputError(
            "--sequences: the VOT toolkit runs all sequences of a workspace, and there are no results yet of "
            f"{', '.join(missing)}; leave out --sequences, or give --no-toolkit, or the folder with JPEGImages and "
            "Annotations and another --workspace, which then holds only these"
        )


def _track(sequence: VotSequence, make_tracker: MakeTracker) -> dict[str, list]:
    queries = {}
    for name, start in sequence.starts().items():
        region = sequence.objects[name][start]
        if not isinstance(region, Mask):
            raise InputError(f"sequence {sequence.name}: expected masks as truth, got {region}")
        queries[name] = Query(start, region)
    return follow(sequence.frames, queries, make_tracker)


def _measured(
    workspace: Workspace, tracker: str, names: Sequence[str], args: argparse.Namespace
) -> list[SequenceScores]:
    """Scores are not kept: they come from the results in the workspace each time."""
    unkept = argparse.Namespace(**{**vars(args), "out": None})
    return score_sequences(VotsTask(workspace.root, tracker), names, unkept, TITLES[tracker])


def _rows(results: Mapping[str, Sequence[SequenceScores]], theirs: Mapping[str, VotsScores]) -> list[dict[str, Any]]:
    """Our measures of each sequence; then, for each tracker, our means, the toolkit's, and what lies between them."""
    rows = [_row(one.name, [one], _mean([one])) for one in results[OURS]]
    for tracker, of_sequences in results.items():
        title = "mean" if tracker == OURS else f"mean, {TITLES[tracker]}"
        ours = _mean(of_sequences)
        rows.append(_row(title, of_sequences, ours))
        if tracker in theirs:
            rows.append(_row(f"{title}, by the VOT toolkit", of_sequences, theirs[tracker]))
            apart = _apart(ours, theirs[tracker])
            rows.append({**rows[-1], "sequence": f"{title}, difference", **apart})
            if max((value for value in apart.values() if value is not None), default=0.0) > _TOLERANCE:
                logger.error("our measures of %s and the VOT toolkit's differ: %s", tracker, apart)
    return rows


def _row(title: str, results: Sequence[SequenceScores], scores: VotsScores) -> dict[str, Any]:
    return {
        "sequence": title,
        "frames": sum(one.num_frames for one in results),
        "objects": sum(one.scores["objects"] for one in results),
        **{_column(name): _rounded(getattr(scores, name)) for name in MEASURES},
        "frames/s": frames_per_second(results),
    }


def _apart(ours: VotsScores, theirs: VotsScores) -> dict[str, float | None]:
    """Distances, two digits of each; 1 where only one of the two has a value."""
    apart = {}
    for name in MEASURES:
        a, b = getattr(ours, name), getattr(theirs, name)
        both = a is not None and b is not None
        apart[_column(name)] = float(f"{abs(a - b):.1e}") if both else None if a is b else 1.0
    return apart


def _mean(results: Sequence[SequenceScores]) -> VotsScores:
    return mean_scores(VotsScores(**one.scores["measures"]) for one in results)


def _column(measure: str) -> str:
    return measure.upper() if len(measure) == 3 else measure


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _notes(args: argparse.Namespace, toolkit: Toolkit | None) -> dict[str, Any]:
    notes: dict[str, Any] = {"seconds": "of the tracker with reading pictures; under the toolkit with its start, too"}
    if args.root is not None:
        notes["given"] = f"the mask of each object in the first frame with {args.visible_px} pixels of it or more"
    if toolkit is not None:
        notes |= {"toolkit": toolkit.version(), "protocol": args.protocol, **peak_rss_of_children_mib()}
        fps_is = "frames over the seconds that the toolkit kept, with one sequence at a time"
        notes |= {"jobs": 1, "fps_is": fps_is, "other_work_cores": None}  # scoring ran beside no tracker
    return notes


def _path_names(args: argparse.Namespace) -> dict[Path, str]:
    named = {args.root: "DAVIS", args.out: "WORKSPACE", args.toolkit: "VOT"}
    return {path: name for path, name in named.items() if path is not None}
