"""`streamvos eval consistency`: contradictions between what the parts say, on any video, without any truth.

The graph runs with its settings; beside it the same detector sees every frame alone and without memory, as a witness
of which the run knows nothing. What counts as a contradiction stands in `eval/metrics/consistency.py`.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.metrics.consistency import KINDS, ConsistencyJudge, num_visible
from eval.reporting.contradictions import Examples
from eval.reporting.results import Headline, bars
from eval.running.detectors import make_detector
from eval.running.harness import (
    SequenceScores,
    add_run_options,
    frames_per_second,
    graph_config,
    publish,
    score_sequences,
)
from eval.running.scene_run import SceneRun
from pipelines.graph.build import GraphConfig
from streamvos.errors import InputError
from streamvos.video.sources import open_source

UNIT = "for each 1,000 object-frames"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval consistency`."""
    add = parser.add_argument
    add("sources", nargs="+", metavar="SOURCE", help="video file, folder of pictures, or what else `run` takes")
    add("--max-frames", type=int, metavar="N", help="only the first N frames of each source")
    add("--sheets", type=Path, metavar="DIR", help="write a picture of examples for each source, <source>.jpg")
    add_run_options(parser, "consistency")
    parser.set_defaults(out=None)  # there are no predictions to be kept


def run(args: argparse.Namespace) -> int:
    """Run the graph and the witness, count, print and save."""
    sources = named_sources(args.sources, args.max_frames)
    config = graph_config(args, stages=["detect", "segment"])
    if args.sheets is not None:
        args.sheets.mkdir(parents=True, exist_ok=True)
    task = ConsistencyTask(sources, config, args.max_frames, args.sheets)
    results = score_sequences(task, list(sources), args, "the graph and its witness")
    rows = [_row(one.name, [one]) for one in results]
    whole = _row("all", results)
    if len(rows) > 1:
        rows.append(whole)
    frames = "all frames" if args.max_frames is None else f"the first {args.max_frames} frames"
    return publish(
        args,
        rows,
        results,
        data=f"{len(sources)} sources, {frames}: {', '.join(sources)}",
        path_names={
            **{Path(spec): name for name, spec in sources.items()},
            **({args.sheets: "SHEETS"} if args.sheets else {}),
        },
        headline=None if whole["all"] is None else Headline(f"contradictions {UNIT}", whole["all"]),
        plot=bars(rows, "source", list(KINDS), UNIT),
        notes={"unit": UNIT, "witness": f"{config.detect.detector}, each frame alone"},
    )


def named_sources(specs: Sequence[str], max_frames: int | None) -> dict[str, str]:
    """The sources by their names; of several with one name the later get a number.

    Raises:
        InputError: one cannot be opened.
    """
    sources: dict[str, str] = {}
    for spec in dict.fromkeys(specs):
        with open_source(spec, max_frames=max_frames) as source:
            name, is_live = source.info.name, source.info.is_live
        if is_live:
            raise InputError(f"source {name}: expected one that can be read again, got a live one; record it first")
        number = 1
        while (title := name if number == 1 else f"{name}-{number}") in sources:
            number += 1
        sources[title] = spec
    return sources


@dataclass(frozen=True)
class ConsistencyTask:
    """Runs the graph over one source, the witness beside it, and counts their contradictions.

    Args:
        sources: by name, see `named_sources`.
        config: of the graph, with the stages detect and segment.
        max_frames: of the source, or None for all.
        sheets: folder for `<source>.jpg`, or None.
    """

    sources: Mapping[str, str]
    config: GraphConfig
    max_frames: int | None
    sheets: Path | None

    def __call__(self, name: str) -> SequenceScores:
        alone = dataclasses.replace(self.config.detect, every=1)
        witness = make_detector("single frame", dataclasses.replace(self.config, stages=("detect",), detect=alone), ())
        run, judge, counts = SceneRun(self.config), ConsistencyJudge(), Counter()
        object_frames = 0
        examples = None if self.sheets is None else Examples(self.config.seed)
        with open_source(self.sources[name], max_frames=self.max_frames) as source:
            for frame, result in run(source):
                found = witness(frame.image)
                contradictions = judge.step(result, found)
                counts.update(one.kind for one in contradictions)
                object_frames += num_visible(result)
                if examples is not None:
                    examples.look(frame.image, result, found, contradictions)
        if examples is not None:
            examples.write(self.sheets / f"{name}.jpg")
        scores = {"object_frames": object_frames, "counts": {kind: counts[kind] for kind in KINDS}}
        return SequenceScores(name, run.num_frames, run.seconds, scores)


def _row(name: str, results: Sequence[SequenceScores]) -> dict[str, Any]:
    object_frames = sum(one.scores["object_frames"] for one in results)
    counts = {kind: sum(one.scores["counts"][kind] for one in results) for kind in KINDS}
    total = {**counts, "all": sum(counts.values())}
    return {
        "source": name,
        "frames": sum(one.num_frames for one in results),
        "object-frames": object_frames,
        **{kind: round(1000 * count / object_frames, 1) if object_frames else None for kind, count in total.items()},
        "frames/s": frames_per_second(results),
    }
