"""Ways to fill the long memory from a composed sequence: by the graph that watches it, or with the truth itself."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from eval.compose.visibility import PLAIN
from eval.datasets.composed import FrameTruth, SequenceTruth
from eval.datasets.davis import find_sequences
from pipelines.graph.build import GraphConfig
from pipelines.remember import RememberStage
from pipelines.session import Session
from streamvos.masks import encode, ids_in, tight_box
from streamvos.records import Detections, Frame, ObjectMasks, StepResult

# Fills an empty folder with the memory of a sequence; returns the seconds it took, reading pictures not counted.
Watcher = Callable[[Path, SequenceTruth, GraphConfig, Path], float]


def watch_with_graph(root: Path, truth: SequenceTruth, config: GraphConfig, memory: Path) -> float:
    """Let the graph watch the frames, at their true times."""
    (sequence,) = find_sequences(root, [truth.sequence])
    seconds = 0.0
    with Session(config, memory_dir=memory) as session:
        for frame, image in zip(truth.frames, sequence.images(), strict=True):
            start = time.perf_counter()
            session.step(image, frame.time_s)
            seconds += time.perf_counter() - start
        session.finish()
    return seconds


def watch_truth(root: Path, truth: SequenceTruth, config: GraphConfig, memory: Path) -> float:
    """Tell the memory true masks, identities and classes; what shows too little of itself is told as occluded."""
    (sequence,) = find_sequences(root, [truth.sequence])
    names = {info.id: info.class_name for info in truth.objects}
    stage = RememberStage(config.remember, memory, truth.sequence, truth.sequence)
    seconds = 0.0
    try:
        for row, image, labels in zip(truth.frames, sequence.images(), sequence.label_maps(), strict=True):
            frame = Frame(truth.sequence, row.frame, row.time_s, image)
            masks = _true_masks(row, labels, names)
            result = dataclasses.replace(StepResult.of(frame), masks=masks, detections=_NO_DETECTIONS)
            start = time.perf_counter()
            stage.step(frame, result)
            seconds += time.perf_counter() - start
    finally:
        stage.close()
    return seconds


_NO_DETECTIONS = Detections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), (), np.zeros(0, np.int64)
)


def _true_masks(row: FrameTruth, labels: np.ndarray, names: dict[int, str]) -> ObjectMasks:
    """The objects in the picture, hidden ones too."""
    painted = set(ids_in(labels))
    masks = {one.id: labels == one.id if one.id in painted else np.zeros(labels.shape, bool) for one in row.objects}
    enough = [
        one.id in painted and one.visible_px >= max(PLAIN.min_px, PLAIN.min_share * one.full_px) for one in row.objects
    ]
    return ObjectMasks(
        size=labels.shape,  # type: ignore[arg-type]
        object_ids=np.array(list(masks), np.int64),
        rles=tuple(encode(mask) for mask in masks.values()),
        boxes_xyxy=np.array([tight_box(mask) for mask in masks.values()], np.float32).reshape(-1, 4),
        scores=np.ones(len(masks), np.float32),
        states=tuple("tracked" if there else "occluded" for there in enough),
        class_names=tuple(names[object_id] for object_id in masks),
    )
