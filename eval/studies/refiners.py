"""Refiners side by side: `python -m eval.studies.refiners --out DIR --source DIR --horses DIR --davis DIR`.

The same objects are asked for from tight boxes, from one and three clicks (the first innermost, or anywhere on it but
near its border; each next one in the middle of the largest fault, as is usual for interactive segmentation) with and
without the detector's boxes, from coarse masks spoilt as trackers spoil them, and from two clicks that correct such a
mask, given with it or with its box alone; scored by IoU and by the boundary measure of DAVIS. Of candidates, that
which the stage would take counts; from coarse masks, that which its gate would choose, and how often it rejects
all. SAM-HQ with random weights (`--refiners sam-hq --random-weights`) shows whether the gate works: its candidates
mean nothing, and nearly all must be rejected.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from eval.datasets.davis import find_sequences
from eval.metrics.davis import boundary_measure, region_similarity
from eval.reporting.results import Headline, command_line, write_results
from memory_bank.budgets import MemoryBudgets
from pipelines.detect import DetectConfig, DetectStage
from pipelines.refiners.config import RefineConfig
from pipelines.refiners.embedded import EmbeddedRefiner
from pipelines.refiners.first_mask import best_candidate, candidates_of
from pipelines.refiners.gate import refine_mask
from pipelines.refiners.protocol import Candidate, Refiner, RefinerSetup, innermost_point
from pipelines.refiners.refine_net import RefineNet
from pipelines.refiners.registry import make_refiner
from pipelines.refiners.sam_hq import SamHqConfig, SamHqRefiner
from pipelines.scores import ScoreThresholds
from pipelines.training.datasets import Picture, read_horses
from pipelines.training.mask_sources import read_source
from pipelines.training.refiner_samples import SampleConfig, spoil
from streamvos.masks import tight_box
from streamvos.models.sam_hq import CATALOGUE_NAMES, SamHqPredictor
from streamvos.records import Frame, Prompt, StepResult

_SHORT_SIDE_PX = 480
_MAX_CLICKS = 3
_MAX_CORRECTIONS = 2
_DRAWN_DEPTH = 0.3  # of the innermost pixel's: nobody aims at a border
_MIN_AREA_PX = 200  # of a mask on DAVIS; the object is as good as gone below it

REFINERS = ("grabcut", "embedded", "sam-hq")

Example = tuple[np.ndarray, np.ndarray]  # (H, W, 3) uint8 RGB and (H, W) bool


class Thing(NamedTuple):
    """What is asked for: an object's mask (H, W) bool in an (H, W, 3) uint8 RGB image, and its number."""

    image: np.ndarray
    truth: np.ndarray
    number: int


class Answer(NamedTuple):
    """A mask (H, W) bool, whether the gate rejected all candidates, whether the mask holds the pixel that was clicked
    first, and the IoU that was predicted; None where nobody asked."""

    mask: np.ndarray
    rejected: bool | None = None
    holds: bool | None = None
    predicted: float | None = None


Ask = Callable[[Refiner, Thing], Answer]


def still_pictures(pictures: Sequence[Picture]) -> Iterator[Example]:
    """Each object of each picture; of things that are labelled with their parts, the whole."""
    for picture in pictures:
        has_parts = np.sum([region.mask for region in picture.regions], axis=0).max() > 1
        for region in picture.whole if has_parts else picture.regions:
            yield picture.image, region.mask


def davis_frames(root: Path, every: int) -> Iterator[Example]:
    """The first and each further `every`-th frame of the sequences, objects merged."""
    for sequence in find_sequences(root, merge=True):
        fewer = replace(sequence, frames=sequence.frames[::every], annotations=sequence.annotations[::every])
        for image, labels in zip(fewer.images(), fewer.label_maps(), strict=True):
            if np.count_nonzero(labels) >= _MIN_AREA_PX:
                yield image, labels > 0


def from_box(refiner: Refiner, thing: Thing) -> Answer:
    return Answer(best_candidate(refiner.refine(box=tight_box(thing.truth))).mask)


def from_click_by_iou(refiner: Refiner, thing: Thing, drawn: bool) -> Answer:
    """Control: one click, what is meant chosen by predicted IoU alone."""
    return _clicked(thing, max(_offered(refiner, thing, drawn), key=lambda one: one.predicted_iou or 0.0), drawn)


def from_click_by_truth(refiner: Refiner, thing: Thing, drawn: bool) -> Answer:
    """One click, the best of the masks that are offered."""
    best = max(_offered(refiner, thing, drawn), key=lambda one: region_similarity(one.mask, thing.truth))
    return _clicked(thing, best, drawn)


def _offered(refiner: Refiner, thing: Thing, drawn: bool) -> Sequence[Candidate]:
    prompt = Prompt(thing.number, 1, points=_first_point(thing, drawn)[None], labels=np.ones(1, bool))
    return candidates_of(thing.image, prompt, refiner, instances=_detected(thing.image))


def _clicked(thing: Thing, chosen: Candidate, drawn: bool) -> Answer:
    x, y = _first_point(thing, drawn).astype(int)
    return Answer(chosen.mask, None, bool(chosen.mask[y, x]), chosen.predicted_iou)


def from_clicks(refiner: Refiner, thing: Thing, count: int, drawn: bool = False, detector: bool = False) -> Answer:
    """Clicks as the stage takes them, with or without what the detector sees in the picture."""
    instances = _detected(thing.image) if detector else None
    points, labels = [_first_point(thing, drawn)], [True]
    while True:
        prompt = Prompt(thing.number, 1, points=np.array(points), labels=np.array(labels))
        best = candidates_of(thing.image, prompt, refiner, instances=instances)[0]
        part, on = _largest_fault(best.mask, thing.truth)
        if len(points) == count or not part.any():
            return _clicked(thing, best, drawn)
        points.append(innermost_point(part))
        labels.append(on)


def coarse_of(thing: Thing) -> np.ndarray:
    """A spoilt mask of an object, always the same."""
    rng = np.random.default_rng([77, thing.number])
    return spoil(rng, thing.truth.astype(np.uint8), SampleConfig(soft_share=0.0, perfect_share=0.0)) > 0.5


def from_coarse(refiner: Refiner, thing: Thing) -> Answer:
    mask, decision = refine_mask(refiner, coarse_of(thing), RefineConfig())
    return Answer(mask, decision.action == "reject")


def from_correction(refiner: Refiner, thing: Thing, by_box: bool) -> Answer:
    """A spoilt mask corrected by clicks in the middle of its largest fault, each time with the mask or with its box."""
    mask = coarse_of(thing)
    box = tight_box(mask)
    points, labels = [], []
    for _ in range(_MAX_CORRECTIONS):
        part, on = _largest_fault(mask, thing.truth)
        if not part.any():
            break
        points.append(innermost_point(part))
        labels.append(on)
        clicks = {"points": np.array(points), "labels": np.array(labels)}
        mask = best_candidate(refiner.refine(box=box, **clicks) if by_box else refiner.refine(mask, **clicks)).mask
    return Answer(mask)


PROMPTS: Mapping[str, Ask] = {
    "box": from_box,
    "1 click, IoU alone": partial(from_click_by_iou, drawn=False),
    "1 click anywhere, IoU alone": partial(from_click_by_iou, drawn=True),
    "1 click anywhere, best of three": partial(from_click_by_truth, drawn=True),
    "1 click": partial(from_clicks, count=1),
    "1 click anywhere": partial(from_clicks, count=1, drawn=True),
    f"{_MAX_CLICKS} clicks": partial(from_clicks, count=_MAX_CLICKS),
    "1 click, detector": partial(from_clicks, count=1, detector=True),
    "1 click anywhere, detector": partial(from_clicks, count=1, drawn=True, detector=True),
    f"{_MAX_CLICKS} clicks, detector": partial(from_clicks, count=_MAX_CLICKS, detector=True),
    "coarse mask": from_coarse,
    "mask, 2 clicks": partial(from_correction, by_box=False),
    "its box, 2 clicks": partial(from_correction, by_box=True),
}


def score(
    name: str, examples: Sequence[Example], refiners: Sequence[Refiner], prompts: Sequence[str] = tuple(PROMPTS)
) -> list[dict[str, Any]]:
    """A row for each prompt and refiner: mean IoU and boundary measure, and the processor's milliseconds a mask."""
    rows = []
    asked = [Thing(*example, number) for number, example in enumerate(examples)]
    for prompt in prompts:
        if prompt == "coarse mask":
            scores = [_scores(coarse_of(thing), thing.truth) for thing in asked]
            rows.append(_row(name, prompt, "none", scores, None))
        for refiner in refiners:
            scores, answers, spent = [], [], 0.0
            for thing in asked:
                refiner.set_image(thing.image, thing.number)
                started = time.process_time()
                answer = PROMPTS[prompt](refiner, thing)
                spent += time.process_time() - started
                scores.append(_scores(answer.mask, thing.truth))
                answers.append(answer)
            rows.append(_row(name, prompt, refiner.name, scores, 1000 * spent / len(scores), answers))
    return rows


def _row(
    name: str,
    prompt: str,
    refiner: str,
    scores: Sequence[tuple[float, float]],
    ms: float | None,
    answers: Sequence[Answer] = (),
) -> dict[str, Any]:
    iou, boundary = np.mean(scores, axis=0).tolist()
    spread = float(np.std(scores, axis=0)[0]) / np.sqrt(len(scores))
    guesses = [
        (one.predicted, score) for one, (score, _) in zip(answers, scores, strict=False) if one.predicted is not None
    ]
    return {
        "data": name,
        "objects": len(scores),
        "prompt": prompt,
        "refiner": refiner,
        "IoU": round(100 * iou, 1),
        "+-": round(100 * spread, 1),
        "F": round(100 * boundary, 1),
        "CPU ms": None if ms is None else round(ms, 1),
        "rejected %": _share([one.rejected for one in answers]),
        "holds the click %": _share([one.holds for one in answers]),
        "predicted IoU": _share([guess for guess, _ in guesses]),
        "its error": _share([abs(guess - score) for guess, score in guesses]),
    }


def _share(facts: Sequence[float | None]) -> float | None:
    known = [fact for fact in facts if fact is not None]
    return round(100 * float(np.mean(known)), 1) if known else None


def _scores(mask: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    return region_similarity(mask, truth), boundary_measure(mask, truth)


def _detected(image: np.ndarray) -> np.ndarray:
    """(M, 4) boxes of what the stage of the graph sees in an image, without a memory."""
    frame = Frame("still", 0, 0.0, image)
    stage = _detect_stage()
    stage.reset()
    return stage.step(frame, StepResult.of(frame)).detections.boxes_xyxy


@cache
def _detect_stage() -> DetectStage:
    return DetectStage(DetectConfig(memory=False), ScoreThresholds(), MemoryBudgets(), torch.device("cpu"))


def _first_point(thing: Thing, drawn: bool) -> np.ndarray:
    """The innermost pixel, or one at least 0.3 times as far from the border, drawn, always the same."""
    if not drawn:
        return innermost_point(thing.truth)
    depth = _depth(thing.truth)[1:-1, 1:-1]
    rows, columns = np.nonzero(thing.truth & (depth >= _DRAWN_DEPTH * depth.max()))
    place = np.random.default_rng([78, thing.number]).integers(len(rows))
    return np.array([columns[place], rows[place]], np.float32)


def _largest_fault(mask: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, bool]:
    """What is missing, or what is too much, whichever goes deeper; and whether it belongs to the object."""
    faults = [(truth & ~mask, True), (mask & ~truth, False)]
    return max(faults, key=lambda fault: float(_depth(fault[0]).max()))


def _depth(mask: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m eval.studies.refiners", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--source", type=Path, action="append", default=[], metavar="DIR",
        help="pictures with masks, as trainings read them: those that no training has seen; may be given again",
    )  # fmt: skip
    parser.add_argument("--horses", type=Path, help="Weizmann horses")
    parser.add_argument("--davis", type=Path, help="DAVIS-2016")
    parser.add_argument("--every", type=int, default=10, help="frames of DAVIS that are used")
    parser.add_argument("--limit", type=int, help="objects of each data set, evenly spread")
    parser.add_argument("--prompts", nargs="+", choices=tuple(PROMPTS), default=list(PROMPTS), help="default: all")
    parser.add_argument("--weights", type=Path, help="of the embedded refiner; the shipped ones where not given")
    parser.add_argument(
        "--refiners", nargs="+", choices=REFINERS, default=list(REFINERS[:2]), help="(default: grabcut embedded)"
    )
    parser.add_argument("--sam-size", choices=CATALOGUE_NAMES, default="vit_tiny", help="(default: %(default)s)")
    parser.add_argument("--sam-weights", type=Path, help="of SAM-HQ (default: those of `streamvos models fetch`)")
    parser.add_argument("--random-weights", action="store_true", help="SAM-HQ without any: does the gate reject it?")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="refiners")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(words)
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    sets, refiners = _chosen_sets(given), [_refiner(name, given) for name in given.refiners]
    if not sets:
        parser.error("name at least one of --source, --horses, --davis")
    rows: list[dict[str, Any]] = []
    for name, read in sets.items():
        examples = list(read())
        if given.limit and given.limit < len(examples):
            examples = [examples[int(place)] for place in np.linspace(0, len(examples) - 1, given.limit)]
        for row in score(name, examples, refiners, given.prompts):
            rows.append(row)
            sys.stdout.write(" | ".join(str(value) for value in row.values()) + "\n")
            sys.stdout.flush()
    paths = {source.name.upper(): source for source in given.source}
    paths |= {"HORSES": given.horses, "DAVIS": given.davis, "W": given.weights}
    names = {path: name for name, path in (paths | {"SAM_W": given.sam_weights}).items() if path}
    command = command_line(words, names).replace("streamvos", "python -m eval.studies.refiners", 1)
    meta = {"command": command, "data": ", ".join(sets), "seed": 0, "fps": None, "threads": given.threads}
    write_results(given.name, rows, meta, given.out, _headline(rows, name, given.prompts[0]))


def _chosen_sets(given: argparse.Namespace) -> dict[str, Callable[[], Iterator[Example]]]:
    sets: dict[str, Callable[[], Iterator[Example]]] = {}
    for folder in given.source:
        sets[f"{folder.name} held out"] = partial(_held_out, folder)
    if given.horses:
        sets["horses"] = lambda: still_pictures(read_horses(given.horses, _SHORT_SIDE_PX))
    if given.davis:
        sets["davis2016"] = lambda: davis_frames(given.davis, given.every)
    return sets


def _held_out(folder: Path) -> Iterator[Example]:
    return still_pictures(read_source(folder, _SHORT_SIDE_PX, held_out_only=True)[1])


def _refiner(name: str, given: argparse.Namespace) -> Refiner:
    setup = RefinerSetup(torch.device("cpu"))
    if name == "sam-hq" and given.random_weights:
        return SamHqRefiner(SamHqPredictor.randomly_initialised(0, given.sam_size, setup.device))
    if name == "sam-hq":
        return make_refiner(name, SamHqConfig(given.sam_size, str(given.sam_weights or "")), setup)
    if name == "embedded" and given.weights:
        return EmbeddedRefiner(RefineNet.from_file(given.weights, setup.device), setup)
    return make_refiner(name, None, setup)


def _headline(rows: Sequence[Mapping[str, Any]], data: str, prompt: str) -> Headline | None:
    """The embedded refiner against GrabCut, where both were asked."""
    last = {row["refiner"]: row["IoU"] for row in rows if row["data"] == data and row["prompt"] == prompt}
    if not {"embedded", "grabcut"} <= set(last):
        return None
    return Headline(f"IoU from {prompt}, {data}", last["embedded"], last["grabcut"], "GrabCut")


if __name__ == "__main__":
    main()
