"""Two scene memories against one: what masks of moving things, and carrying these forward, are worth.

After Mem4D (Cai et al., 2508.07908, 2025), whose claim is that a scene needs two memories. One memory for all is the
same stage without masks: everything goes into the map, and corners on moving things count for the pose. The transient
memory is asked where things are at the time of each frame, before it has seen that frame, once with its points carried
forward and once with the points as they lie. Ghosts and places of moving things are judged in metres: with depth only.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eval.datasets.davis import read_label_map
from eval.datasets.raycast import RoomConfig, render, swaying_path
from eval.datasets.rgbd import find_sequences
from eval.metrics.scene import Sight, ghost_share, matches, object_centres
from eval.metrics.trajectory import align, largest_map, place_by_orientation
from eval.running.harness import SequenceScores
from pipelines.graph.build import GraphConfig, StreamSetup, build_stages, resolve
from pipelines.graph.chain import use_threads
from pipelines.reconstruct import ReconstructStage
from streamvos import masks as rle_masks
from streamvos.errors import InputError
from streamvos.export.trajectory import Trajectory
from streamvos.records import Frame, ObjectMasks, StepResult

MaskSource = Literal["truth", "graph", "none"]
ROOM = "ray-cast room"  # the sequence that needs no data
_ROOM_FRAMES = 40
_MAX_SIGHTS = 60  # true frames that ghost points are sought in


@dataclass(frozen=True)
class TwoMemoriesTask:
    """Runs the reconstruct stage over one sequence with moving things, with masks of them or without.

    Args:
        root: see `eval.datasets.rgbd.find_sequences`, with label maps; None for the ray-cast room.
        config: of the graph.
        with_depth: whether the stage gets the input's depth.
        masks: "truth" gives it the true masks, "graph" those of detect and segment, "none" none: one memory for all.
        max_frames: of the sequence, or None for all.
    """

    root: Path | None
    config: GraphConfig
    with_depth: bool
    masks: MaskSource
    max_frames: int | None

    def __call__(self, name: str) -> SequenceScores:
        config = resolve(self.config)
        use_threads(config.threads)
        names = ("shots", *(("detect", "segment") if self.masks == "graph" else ()), "reconstruct")
        *before, stage = build_stages(config, names, StreamSetup(name, name))
        assert isinstance(stage, ReconstructStage)
        scenario = _room(self.max_frames) if self.root is None else _composed(self.root, name, self.max_frames)
        log, seconds = _Log(), 0.0
        for frame, labels in scenario.frames:
            seen = frame if self.with_depth else dataclasses.replace(frame, depth_m=None)
            start = time.perf_counter()
            result = StepResult.of(seen)
            for one in before:
                result = one.step(seen, result)
            if self.masks == "truth":
                result = dataclasses.replace(result, masks=_object_masks(labels))
            guesses = {carry: _centres_at(stage, frame.time_s, carry) for carry in (True, False)}
            result = stage.step(seen, result)
            seconds += time.perf_counter() - start
            log.add(frame, labels, result, guesses)
        truth = scenario.truth if scenario.truth is not None else scenario.sequence.truth(np.array(log.times_s))
        scores = log.scores(stage, truth, with_scale=not self.with_depth)
        for one in (*before, stage):
            one.close()
        return SequenceScores(name, len(log.times_s), seconds, scores)


def ablation_rows(title: str, masks: MaskSource, results: Sequence[SequenceScores]) -> list[dict[str, Any]]:
    """One row for each sequence, and their mean; with masks one more for points that are not carried forward.

    Means of errors are over the sequences that have one.
    """
    names = {"carried": "two memories", "as they lie": "two, not carried forward"}
    rows = []
    for key in names:
        memories = "one for all" if masks == "none" else names[key]
        if key == "as they lie" and all(one.scores["off_m"][key] is None for one in results):
            continue  # nothing was carried, or it cannot be judged
        part = [_row(one, title, memories, masks, key) for one in results]
        if len(part) > 1:
            mean: dict[str, Any] = {**part[0], "sequence": "mean", "frames": sum(row["frames"] for row in part)}
            for column in ("compared, %", "ATE, cm", "ghosts, %", "moving things off by, cm"):
                values = [row[column] for row in part if row[column] is not None]
                mean[column] = round(float(np.mean(values)), 2) if values else None
            part.append(mean)
        rows += part
    return rows


def _row(one: SequenceScores, title: str, memories: str, masks: MaskSource, key: str) -> dict[str, Any]:
    def shown(value: float | None) -> float | None:
        return None if value is None else round(100 * value, 2)

    scores = one.scores
    return {
        "sequence": one.name,
        "input": title,
        "memories": memories,
        "masks": {"truth": "true", "graph": "detect and segment", "none": "none"}[masks],
        "frames": scores["num_true"],
        "compared, %": round(100 * scores["num_compared"] / scores["num_true"], 1),
        "ATE, cm": shown(scores["ate_m"]),
        "ghosts, %": shown(scores["ghosts"]),
        "moving things off by, cm": shown(scores["off_m"][key]),
    }


@dataclass
class _Scenario:
    """Frames with the ids of moving things, and the true poses (or the sequence that has them)."""

    frames: Iterator[tuple[Frame, np.ndarray]]
    truth: Trajectory | None = None
    sequence: Any = None


def _room(max_frames: int | None) -> _Scenario:
    poses = swaying_path(_ROOM_FRAMES)[:max_frames]
    room = dataclasses.replace(RoomConfig(), depth_noise=0.003)
    frames = ((frame, rle_masks.label_map(masks)) for frame, masks in render(room, poses) if masks is not None)
    times_s = np.arange(len(poses)) / room.frame_rate
    return _Scenario(frames, Trajectory(times_s, poses, np.zeros(len(poses), np.int64)))


def _composed(root: Path, name: str, max_frames: int | None) -> _Scenario:
    (sequence,) = find_sequences(root, [name])
    paths = sequence.label_paths()

    def frames() -> Iterator[tuple[Frame, np.ndarray]]:
        with sequence.open(max_frames) as source:
            for frame in source:
                if frame.index >= len(paths):
                    raise InputError(f"{sequence.folder}: expected a label map for each frame, got {len(paths)}")
                yield frame, read_label_map(paths[frame.index])

    return _Scenario(frames(), sequence=sequence)


def _object_masks(labels: np.ndarray) -> ObjectMasks:
    """True masks as the segment stage would give them; without class names, so that every object may move."""
    ids = rle_masks.ids_in(labels)
    parts = [labels == object_id for object_id in ids]
    return ObjectMasks(
        labels.shape,
        np.array(ids, np.int64),
        tuple(rle_masks.encode(part) for part in parts),
        np.array([rle_masks.tight_box(part) for part in parts], np.float32).reshape(-1, 4),
        np.ones(len(ids), np.float32),
        ("tracked",) * len(ids),
        ("",) * len(ids),
    )


def _centres_at(stage: ReconstructStage, time_s: float, carry: bool) -> dict[int, np.ndarray]:
    """Where the transient memory has the middle of each object at a time, world coordinates."""
    points = stage.memory.dynamic.at_time(time_s, carry)
    return {int(one): np.median(points.xyz[points.object_id == one], axis=0) for one in np.unique(points.object_id)}


@dataclass
class _Log:
    """What is gathered over a run, and judged at its end, when the estimate can be laid over the truth."""

    times_s: list[float] = field(default_factory=list)
    posed: list[tuple[int, np.ndarray, int]] = field(default_factory=list)  # frame, pose, map
    sights: list[tuple[int, Sight]] = field(default_factory=list)
    every: int = 1
    # Frame, map, carried or not, guessed centre (world of the map), true centre (camera).
    guessed: list[tuple[int, int, bool, np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(
        self, frame: Frame, labels: np.ndarray, result: StepResult, guesses: dict[bool, dict[int, np.ndarray]]
    ) -> None:
        assert result.scene is not None and frame.depth_m is not None and frame.intrinsics is not None
        row, scene = len(self.times_s), result.scene
        self.times_s.append(frame.time_s)
        if scene.world_from_camera is not None:
            self.posed.append((row, scene.world_from_camera, scene.map_id))
        if row % self.every == 0:
            self.sights.append((row, Sight(frame.depth_m, labels, frame.intrinsics, np.eye(4))))
            if len(self.sights) > _MAX_SIGHTS:
                self.sights, self.every = self.sights[::2], 2 * self.every
        true_centres = object_centres(frame.depth_m, labels, frame.intrinsics)
        found = {} if result.masks is None else zip(result.masks.object_ids.tolist(), result.masks.rles, strict=True)
        true_ids = matches({object_id: rle_masks.decode(rle) for object_id, rle in dict(found).items()}, labels)
        for carry, centres in guesses.items():
            for object_id, centre in centres.items():
                if true_ids.get(object_id) in true_centres:
                    self.guessed.append((row, scene.map_id, carry, centre, true_centres[true_ids[object_id]]))

    def scores(self, stage: ReconstructStage, truth: Trajectory, with_scale: bool) -> dict[str, Any]:
        """Figures of the largest map; None where too few poses were found."""
        times_s, poses = np.array(self.times_s), dict(zip(truth.times_s, truth.world_from_camera, strict=True))
        estimate = Trajectory(
            times_s[[row for row, _, _ in self.posed]],
            np.array([pose for _, pose, _ in self.posed]).reshape(-1, 4, 4),
            np.array([map_id for _, _, map_id in self.posed], np.int64),
        )
        best = largest_map(estimate)
        scores: dict[str, Any] = {"num_true": len(truth), "num_posed": len(estimate), "num_compared": 0}
        try:
            aligned = align(best, truth, with_scale)
        except InputError:  # too few poses in common
            return scores | {"ate_m": None, "ghosts": None, "off_m": {"carried": None, "as they lie": None}}
        map_id = int(best.map_ids[0])
        sights = [dataclasses.replace(sight, world_from_camera=poses[times_s[row]]) for row, sight in self.sights]
        products = stage.products()
        scale, rotation, translation = place_by_orientation(aligned)
        xyz = scale * products["static_xyz"][products["static_map_id"] == map_id] @ rotation.T + translation
        off: dict[bool, list[float]] = {True: [], False: []}
        for row, in_map, carry, centre, true_centre in self.guessed:
            if in_map == map_id and not with_scale:
                pose = poses[times_s[row]]
                want = pose[:3, :3] @ true_centre + pose[:3, 3]
                off[carry].append(float(np.linalg.norm(scale * rotation @ centre + translation - want)))
        means = {carry: float(np.mean(values)) if values else None for carry, values in off.items()}
        return scores | {
            "num_compared": len(aligned.times_s),
            "ate_m": float(np.sqrt((aligned.errors_m**2).mean())),
            # Without depth the scale of a map is known no better than its path, which is too little to judge points by.
            "ghosts": ghost_share(xyz, sights) if len(xyz) and not with_scale else None,
            "num_points": len(xyz),
            "num_guesses": len(off[True]),
            "off_m": {"carried": means[True], "as they lie": means[False]},
        }
