"""Who has come back: `python -m eval.studies.recognition COMPOSED --out DIR`.

The rule that gives a found object its id back (`pipelines/segmentation/new_objects.py`), apart from detector and
tracker: the truth says where the objects of composed sequences are, the tracker's features what they look like. Each
sighting is held once against all objects of the sequence seen at least `_AWAY_S` before, as a return, and once against
the others alone, as a new object. Beside the rule stand the one that it replaced (similarity alone) and the control:
the returning object's own looks are exchanged for those of a thing of another class in the next sequence (of the same
class it may be the same cut-out), so that whatever is found is found by accident.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from eval.datasets.composed import SequenceTruth
from eval.datasets.davis import find_sequences
from eval.reporting.results import Headline, command_line, write_results
from memory_bank.appearance import RetiredObjects
from pipelines.scores import ScoreThresholds
from pipelines.segment import SegmentConfig
from pipelines.segmentation.matching import MatchingRules, same_group
from pipelines.segmentation.new_objects import NewObjects
from pipelines.trackers.registry import make_tracker

_AWAY_S = 1.5
_MIN_AREA_PX = 600  # of a sighting; slivers are no detections
_NEVER = 2.0  # a similarity that nothing has
_BUDGET_BYTES = 2**20  # of retired objects; here all that may return are told, so none is kept
RULES = {
    "leads all others": MatchingRules(),
    "similarity alone": MatchingRules(min_similarity=0.8, min_leading_similarity=_NEVER),
}
_CONTROL = "control: leads all others, looks of another video"


class Sighting(NamedTuple):
    """One object in one frame; `look` is a (C,) unit vector."""

    time_s: float
    object_id: int
    class_name: str
    twin_of: int | None
    look: np.ndarray


def sightings(root: Path, every: int, size: int) -> list[list[Sighting]]:
    """Of each composed sequence, every so many-th frame, by the default tracker at a short side of `size`."""
    segment = SegmentConfig()
    tracker = make_tracker(segment.base, segment.tracker, size, torch.device("cpu"))
    found = []
    for sequence in find_sequences(root):
        truth = SequenceTruth.load(root / "truth" / f"{sequence.name}.json")
        known = {thing.id: thing for thing in truth.objects}
        tracker.reset()
        seen: list[Sighting] = []
        frames = zip(sequence.images(), sequence.label_maps(), strict=True)
        for index, (image, labels) in itertools.islice(enumerate(frames), 0, None, every):
            tracker.observe(image)
            for object_id in np.unique(labels[labels > 0]).tolist():
                mask = labels == object_id
                if np.count_nonzero(mask) >= _MIN_AREA_PX:
                    thing, look = known[object_id], tracker.appearance(mask)
                    seen.append(Sighting(float(index / truth.fps), object_id, thing.class_name, thing.twin_of, look))
        found.append(seen)
    return found


def score(sequences: Sequence[Sequence[Sighting]], rule: MatchingRules, exchanged: bool = False) -> dict[str, Any]:
    """Shares of returns that are found and taken for another, of new objects that are taken for another.

    Args:
        sequences: see `sightings`.
        rule: see there.
        exchanged: the returning object is known by the looks of things of another class in the next sequence.
    """
    door = NewObjects(ScoreThresholds(), 0.0, RetiredObjects(_BUDGET_BYTES), rule)
    returns, new_objects, twins = [], [], []
    for number, seen in enumerate(sequences):
        strangers = sequences[(number + 1) % len(sequences)]
        for sighting in seen:
            pool = _looks_before(seen, sighting)
            others = {key: past for key, past in pool.items() if key != sighting.object_id}
            if sighting.object_id in pool:
                if exchanged:
                    pool[sighting.object_id] = sighting.class_name, _strange_looks(strangers, sighting)
                taken = door.recognise(sighting.look, sighting.class_name, pool, {})[0]
                returns.append((taken == sighting.object_id, taken not in (None, sighting.object_id)))
            if any(same_group(name, sighting.class_name) for name, _ in others.values()):
                taken = door.recognise(sighting.look, sighting.class_name, others, {})[0]
                (twins if _has_twin(sighting, others, seen) else new_objects).append(taken is not None)
    found, wrong = np.mean(returns, axis=0).tolist() if returns else (np.nan, np.nan)
    return {
        "returns": len(returns),
        "found, %": round(100 * found, 1),
        "wrong, %": round(100 * wrong, 1),
        "new objects": len(new_objects),
        "taken for another, %": _percent(new_objects),
        "look-alikes": len(twins),
        "look-alikes taken, %": _percent(twins),
    }


def _looks_before(seen: Sequence[Sighting], now: Sighting) -> dict[int, tuple[str, np.ndarray]]:
    """Class and (n, C) looks of each object at times at least `_AWAY_S` earlier, eight at most, evenly spread."""
    pool: dict[int, list[Sighting]] = {}
    for one in seen:
        if one.time_s < now.time_s - _AWAY_S:
            pool.setdefault(one.object_id, []).append(one)
    spread = {
        key: [past[i] for i in np.linspace(0, len(past) - 1, min(8, len(past))).astype(int)]
        for key, past in pool.items()
    }
    return {key: (past[0].class_name, np.stack([one.look for one in past])) for key, past in spread.items()}


def _strange_looks(strangers: Sequence[Sighting], sighting: Sighting) -> np.ndarray:
    """(n, C) looks of things of another class, eight at most; none where there are none."""
    looks = [one.look for one in strangers if not same_group(one.class_name, sighting.class_name)][:8]
    return np.stack(looks) if looks else np.zeros((0, len(sighting.look)), np.float32)


def _has_twin(sighting: Sighting, others: Mapping[int, Any], seen: Sequence[Sighting]) -> bool:
    twin_of = {one.object_id: one.twin_of for one in seen}
    return any(sighting.twin_of == key or twin_of[key] == sighting.object_id for key in others)


def _percent(hits: Sequence[bool]) -> float | None:
    return round(100 * float(np.mean(hits)), 1) if hits else None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m eval.studies.recognition", description=__doc__.split("\n")[0])
    parser.add_argument("roots", type=Path, nargs="+", help="folders that `streamvos eval compose` wrote")
    parser.add_argument("--every", type=int, default=8, help="frames between sightings (default: %(default)s)")
    parser.add_argument("--size", type=int, default=416, help="working short side in pixels (default: %(default)s)")
    parser.add_argument("--name", default="recognition")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(words)
    rows: list[dict[str, Any]] = []
    for root in given.roots:
        seen = sightings(root, given.every, given.size)
        scores = {name: score(seen, rule) for name, rule in RULES.items()}
        scores[_CONTROL] = score(seen, RULES["leads all others"], exchanged=True)
        rows += [{"data": root.name, "rule": name, **numbers} for name, numbers in scores.items()]
    for row in rows:
        sys.stdout.write(" | ".join(str(value) for value in row.values()) + "\n")
    command = command_line(words, {root: root.name.upper() for root in given.roots})
    meta = {
        "command": command.replace("streamvos", "python -m eval.studies.recognition", 1),
        "data": ", ".join(root.name for root in given.roots),
        "seed": None,
        "fps": None,
        "rules": "; ".join(f"{name}: {dataclasses.asdict(rule)}" for name, rule in RULES.items()),
    }
    ours, alone = rows[0]["found, %"], rows[1]["found, %"]
    headline = Headline(f"returns found, %, {given.roots[0].name}", ours, alone, "similarity alone")
    write_results(given.name, rows, meta, given.out, headline)


if __name__ == "__main__":
    main()
