"""Refiners side by side: `python -m eval.refiners --out DIR --horses DIR --davis DIR`.

The same objects are asked for from tight boxes, from one and three clicks (the first innermost, each next one in the
middle of the largest fault, as is usual for interactive segmentation), from coarse masks spoilt as trackers spoil them,
and from two clicks that correct such a mask, given with it or with its box alone; scored by IoU and by the boundary
measure of DAVIS. Of candidates, that with the highest predicted IoU counts (the first where none is predicted); from
coarse masks, that which the stage's gate would choose, and how often it rejects all. SAM-HQ with random weights
(`--refiners sam-hq --random-weights`) shows whether the gate works: its candidates mean nothing, and nearly all must be
rejected.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from eval.datasets.davis import find_sequences
from eval.metrics.davis import boundary_measure, region_similarity
from eval.results import Headline, command_line, write_results
from pipelines.grabcut import GrabCutRefiner
from pipelines.refine import Candidate, Refiner, SamHqRefiner, innermost_point, refine_mask
from pipelines.refine_embedded import EmbeddedRefiner
from pipelines.refine_net import RefineNet
from pipelines.refine_policy import RefineConfig
from pipelines.training.datasets import Picture, read_ccp, read_coco, read_horses, split
from pipelines.training.refiner_samples import SampleConfig, spoil
from streamvos.masks import tight_box
from streamvos.models.sam_hq import CATALOGUE_NAMES, SamHqPredictor

_SHORT_SIDE_PX = 480
_MAX_CLICKS = 3
_MAX_CORRECTIONS = 2
_MIN_AREA_PX = 200  # of a mask on DAVIS; the object is as good as gone below it

REFINERS = ("grabcut", "embedded", "sam-hq")

Example = tuple[np.ndarray, np.ndarray]  # (H, W, 3) uint8 RGB and (H, W) bool


class Answer(NamedTuple):
    """A mask (H, W) bool, and whether the gate rejected all candidates, None where it was not asked."""

    mask: np.ndarray
    rejected: bool | None = None


Ask = Callable[[Refiner, np.ndarray, int], Answer]  # truth and number of the example to an answer


def still_pictures(pictures: Sequence[Picture]) -> Iterator[Example]:
    """Each object of each picture that stands for itself."""
    for picture in pictures:
        for region in picture.whole:
            yield picture.image, region.mask


def davis_frames(root: Path, every: int) -> Iterator[Example]:
    """The first and each further `every`-th frame of the sequences, objects merged."""
    for sequence in find_sequences(root, merge=True):
        fewer = replace(sequence, frames=sequence.frames[::every], annotations=sequence.annotations[::every])
        for image, labels in zip(fewer.images(), fewer.label_maps(), strict=True):
            if np.count_nonzero(labels) >= _MIN_AREA_PX:
                yield image, labels > 0


def from_box(refiner: Refiner, truth: np.ndarray, number: int) -> Answer:
    return Answer(_best(refiner.refine(box=tight_box(truth))))


def from_clicks(refiner: Refiner, truth: np.ndarray, number: int, count: int) -> Answer:
    points, labels = [innermost_point(truth)], [True]
    while True:
        mask = _best(refiner.refine(points=np.array(points), labels=np.array(labels)))
        part, on = _largest_fault(mask, truth)
        if len(points) == count or not part.any():
            return Answer(mask)
        points.append(innermost_point(part))
        labels.append(on)


def coarse_of(truth: np.ndarray, number: int) -> np.ndarray:
    """A spoilt mask of an object, always the same."""
    rng = np.random.default_rng([77, number])
    return spoil(rng, truth.astype(np.uint8), SampleConfig(soft_share=0.0, perfect_share=0.0)) > 0.5


def from_coarse(refiner: Refiner, truth: np.ndarray, number: int) -> Answer:
    mask, decision = refine_mask(refiner, coarse_of(truth, number), RefineConfig())
    return Answer(mask, decision.action == "reject")


def from_correction(refiner: Refiner, truth: np.ndarray, number: int, by_box: bool) -> Answer:
    """A spoilt mask corrected by clicks in the middle of its largest fault, each time with the mask or with its box."""
    mask = coarse_of(truth, number)
    box = tight_box(mask)
    points, labels = [], []
    for _ in range(_MAX_CORRECTIONS):
        part, on = _largest_fault(mask, truth)
        if not part.any():
            break
        points.append(innermost_point(part))
        labels.append(on)
        clicks = {"points": np.array(points), "labels": np.array(labels)}
        mask = _best(refiner.refine(box=box, **clicks) if by_box else refiner.refine(mask, **clicks))
    return Answer(mask)


PROMPTS: Mapping[str, Ask] = {
    "box": from_box,
    "1 click": lambda refiner, truth, number: from_clicks(refiner, truth, number, 1),
    f"{_MAX_CLICKS} clicks": lambda refiner, truth, number: from_clicks(refiner, truth, number, _MAX_CLICKS),
    "coarse mask": from_coarse,
    "mask, 2 clicks": lambda refiner, truth, number: from_correction(refiner, truth, number, by_box=False),
    "its box, 2 clicks": lambda refiner, truth, number: from_correction(refiner, truth, number, by_box=True),
}


def score(
    name: str, examples: Sequence[Example], refiners: Sequence[Refiner], prompts: Sequence[str] = tuple(PROMPTS)
) -> list[dict[str, Any]]:
    """A row for each prompt and refiner: mean IoU and boundary measure, and the processor's milliseconds a mask."""
    rows = []
    for prompt in prompts:
        if prompt == "coarse mask":
            scores = [_scores(coarse_of(truth, number), truth) for number, (_, truth) in enumerate(examples)]
            rows.append(_row(name, prompt, "none", scores, None))
        for refiner in refiners:
            scores, rejected, spent = [], [], 0.0
            for number, (image, truth) in enumerate(examples):
                refiner.set_image(image, number)
                started = time.process_time()
                answer = PROMPTS[prompt](refiner, truth, number)
                spent += time.process_time() - started
                scores.append(_scores(answer.mask, truth))
                rejected += [] if answer.rejected is None else [answer.rejected]
            share = round(100 * float(np.mean(rejected)), 1) if rejected else None
            rows.append(_row(name, prompt, refiner.name, scores, 1000 * spent / len(scores), share))
    return rows


def _row(
    name: str,
    prompt: str,
    refiner: str,
    scores: Sequence[tuple[float, float]],
    ms: float | None,
    rejected: float | None = None,
) -> dict[str, Any]:
    iou, boundary = np.mean(scores, axis=0).tolist()
    time_ms = None if ms is None else round(ms, 1)
    facts = {"data": name, "objects": len(scores), "prompt": prompt, "refiner": refiner}
    figures = {"IoU": round(100 * iou, 1), "F": round(100 * boundary, 1), "CPU ms": time_ms, "rejected %": rejected}
    return {**facts, **figures}


def _scores(mask: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    return region_similarity(mask, truth), boundary_measure(mask, truth)


def _best(candidates: Sequence[Candidate]) -> np.ndarray:
    return max(candidates, key=lambda one: one.predicted_iou or 0.0).mask


def _largest_fault(mask: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, bool]:
    """What is missing, or what is too much, whichever goes deeper; and whether it belongs to the object."""
    faults = [(truth & ~mask, True), (mask & ~truth, False)]
    return max(faults, key=lambda fault: float(_depth(fault[0]).max()))


def _depth(mask: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m eval.refiners", description=__doc__.split("\n")[0])
    parser.add_argument("--ccp", type=Path, help="Clothing Co-Parsing: the tenth that was not trained on")
    parser.add_argument("--coco", type=Path, help="COCO segments in YOLO layout: the tenth that was not trained on")
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
        parser.error("name at least one of --ccp, --coco, --horses, --davis")
    rows: list[dict[str, Any]] = []
    for name, read in sets.items():
        examples = list(read())
        if given.limit and given.limit < len(examples):
            examples = [examples[int(place)] for place in np.linspace(0, len(examples) - 1, given.limit)]
        for row in score(name, examples, refiners, given.prompts):
            rows.append(row)
            sys.stdout.write(" | ".join(str(value) for value in row.values()) + "\n")
            sys.stdout.flush()
    paths = {"CCP": given.ccp, "COCO": given.coco, "HORSES": given.horses, "DAVIS": given.davis, "W": given.weights}
    names = {path: name for name, path in (paths | {"SAM_W": given.sam_weights}).items() if path}
    command = command_line(words, names).replace("streamvos", "python -m eval.refiners", 1)
    meta = {"command": command, "data": ", ".join(sets), "seed": 0, "fps": None, "threads": given.threads}
    write_results(given.name, rows, meta, given.out, _headline(rows, name, given.prompts[0]))


def _chosen_sets(given: argparse.Namespace) -> dict[str, Callable[[], Iterator[Example]]]:
    sets: dict[str, Callable[[], Iterator[Example]]] = {}
    if given.ccp:
        sets["ccp held out"] = lambda: still_pictures(split(read_ccp(given.ccp, _SHORT_SIDE_PX))[1])
    if given.coco:
        sets["coco held out"] = lambda: still_pictures(split(read_coco(given.coco, _SHORT_SIDE_PX))[1])
    if given.horses:
        sets["horses"] = lambda: still_pictures(read_horses(given.horses, _SHORT_SIDE_PX))
    if given.davis:
        sets["davis2016"] = lambda: davis_frames(given.davis, given.every)
    return sets


def _refiner(name: str, given: argparse.Namespace) -> Refiner:
    device = torch.device("cpu")
    if name == "grabcut":
        return GrabCutRefiner()
    if name == "sam-hq" and given.random_weights:
        return SamHqRefiner(SamHqPredictor.randomly_initialised(0, given.sam_size, device))
    if name == "sam-hq":
        return SamHqRefiner(SamHqPredictor(given.sam_size, given.sam_weights, device))
    if given.weights:
        return EmbeddedRefiner(RefineNet.from_file(given.weights, device), device)
    return EmbeddedRefiner.shipped(device)


def _headline(rows: Sequence[Mapping[str, Any]], data: str, prompt: str) -> Headline | None:
    """The embedded refiner against GrabCut, where both were asked."""
    last = {row["refiner"]: row["IoU"] for row in rows if row["data"] == data and row["prompt"] == prompt}
    if not {"embedded", "grabcut"} <= set(last):
        return None
    return Headline(f"IoU from {prompt}, {data}", last["embedded"], last["grabcut"], "GrabCut")


if __name__ == "__main__":
    main()
