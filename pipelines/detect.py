"""The detect stage: what is in the frame, every few frames, with a memory that helps where the frame is
degraded.

After MAMBA (Sun et al., AAAI 2021): feature maps are enhanced from a bank of feature vectors between
backbone and heads, then each expected thing lends its class evidence to the anchor at its expected place.
Both only on frames that are blurred, noisy or dark beside the rest of their shot; on every other frame the
detector's output passes untouched, bit for bit. A cut voids all expected places.

On real clips with made-up bursts of blur, noise and darkness, measured against the detector's own output on
the clean frames, each level helped alone (places more than vectors) and both together most, on the clips
that the settings were chosen on and on others; the memory of another video did worse than none. So both are
on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from memory_bank.features.memory import FeatureMemory
from memory_bank.features.policy import FeatureMemoryConfig
from memory_bank.protocol import MemoryStats
from pipelines.frame_quality import GateConfig, QualityGate
from streamvos import masks
from streamvos.boxes import box_iou, boxes_around, keep_apart
from streamvos.errors import InputError
from streamvos.models import coco
from streamvos.models.ssd_mobilenet import LEVELS, Candidates, SsdMobileNet, suppress
from streamvos.records import Detections, Frame, Prompt, StepResult

_MAX_CANDIDATES = 200  # that enter the search for doubles, best first


@dataclass(frozen=True)
class DetectConfig:
    """How often, how readily and with which memory the detector looks."""

    # Runs on every so many-th frame, after a cut, and where a click must be explained; larger is faster and finds
    # things later.
    every: int = 5
    min_score: float = 0.4  # lower finds more and errs more
    remember_score: float = 0.4  # only things at least so sure enter the memory; lower remembers more errors
    nms: float = 0.6  # boxes of one class that overlap more are one thing; lower merges neighbours
    same_place: float = 0.85  # boxes of different classes that overlap more are one thing, the better one stays
    max_detections: int = 50  # the best so many are kept in a frame
    classes: tuple[str, ...] = ()  # names to look for; empty: all 80
    memory: bool = True  # off: every frame is seen alone
    gate: GateConfig = field(default_factory=GateConfig)
    features: FeatureMemoryConfig = field(default_factory=FeatureMemoryConfig)

    def __post_init__(self) -> None:
        for setting, low in (("every", 1), ("max_detections", 1)):
            if getattr(self, setting) < low:
                raise InputError(f"detect.{setting}: expected at least {low}, got {getattr(self, setting)}")
        for setting in ("min_score", "remember_score", "nms", "same_place"):
            if not 0 < getattr(self, setting) <= 1:
                raise InputError(f"detect.{setting}: expected within (0, 1], got {getattr(self, setting)}")
        coco.class_ids(self.classes)


class DetectStage:
    """Fills in `detections`; None on frames where the detector does not run, empty where it finds nothing.

    Args:
        config: see `DetectConfig`.
        device: where the network runs.
        seed: of the memory's random choices.

    Raises:
        MissingWeightsError: the detector's weights are not installed.
    """

    name = "detect"

    def __init__(self, config: DetectConfig, device: torch.device, seed: int = 0) -> None:
        self.config = config
        self._class_ids = coco.class_ids(config.classes or coco.NAMES)
        self._detector = SsdMobileNet(device)
        self._memory = FeatureMemory(config.features, LEVELS, seed) if config.memory else None
        self._gate = QualityGate(config.gate)
        self._last_run = -1

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        if result.is_cut:
            self._gate.reset()
            if self._memory:
                self._memory.start_shot(frame.index)
        if self._memory:
            for removal in result.removals:
                self._memory.remove(removal.object_id)
        found = None
        due = self._last_run < 0 or frame.index - self._last_run >= self.config.every
        if due or result.is_cut or any(prompt.clicks_alone for prompt in result.prompts):
            self._last_run = frame.index
            found = self._look(frame, result.prompts)
        elif self._memory:
            for prompt in result.prompts:
                row = _claimed(prompt, self._memory.things.places(frame.index))
                if row is not None:
                    self._memory.things.name(row, prompt.object_id)
        events = self._memory.drain_events() if self._memory else ()
        return replace(result, detections=found, events=result.events + events)

    def reset(self) -> None:
        self._gate.reset()
        self._last_run = -1
        if self._memory:
            self._memory.reset()

    def stats(self) -> Mapping[str, MemoryStats]:
        return {self._memory.name: self._memory.stats()} if self._memory else {}

    def state_dict(self) -> dict[str, Any]:
        memory = self._memory.state_dict() if self._memory else None
        return {"memory": memory, "gate": self._gate.state_dict(), "last_run": self._last_run}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if (state["memory"] is None) != (self._memory is None):
            raise InputError("detect snapshot: memory was on where it is off now, or the other way round")
        if self._memory:
            self._memory.load_state_dict(state["memory"])
        self._gate.load_state_dict(state["gate"])
        self._last_run = state["last_run"]

    def products(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        """Nothing is open."""

    def _look(self, frame: Frame, prompts: tuple[Prompt, ...]) -> Detections:
        maps = self._detector.features(frame.image)
        degraded = self._gate.judge(frame.image) if self._memory else None
        arrays = self._detector.to_arrays(maps) if self._memory else {}
        if degraded:
            maps = self._detector.from_arrays(self._memory.read(frame.index, arrays))
        candidates = self._detector.predict(maps, frame.size)
        if degraded:
            raised = self._memory.things.recall(frame.index, candidates.boxes_xyxy, candidates.scores)
            candidates = replace(candidates, scores=raised)
        found = self._choose(candidates)
        if self._memory:
            self._remember(frame, arrays, found, prompts, degraded)
        return found

    def _choose(self, candidates: Candidates) -> Detections:
        config = self.config
        boxes, scores, class_ids = suppress(candidates, config.min_score, config.nms, _MAX_CANDIDATES, self._class_ids)
        kept = keep_apart(boxes, config.same_place)[: config.max_detections]
        names = tuple(coco.NAME_OF[class_id] for class_id in class_ids[kept].tolist())
        return Detections(boxes[kept], scores[kept], class_ids[kept], names, np.full(len(kept), -1, np.int64))

    def _remember(
        self,
        frame: Frame,
        arrays: dict[str, np.ndarray],
        found: Detections,
        prompts: tuple[Prompt, ...],
        degraded: str | None,
    ) -> None:
        sure = found.scores >= self.config.remember_score
        boxes = found.boxes_xyxy[sure]
        object_ids = self._memory.expect(
            frame.index,
            boxes,
            found.class_ids[sure],
            found.scores[sure],
            _named(boxes, prompts),
            degraded is not None,
        )
        if degraded:
            self._memory.skip(frame.index, degraded)
        else:
            self._memory.write(frame.index, frame.size, arrays, boxes, object_ids)


def _named(boxes_xyxy: np.ndarray, prompts: tuple[Prompt, ...]) -> np.ndarray:
    """(M,) names that the user's prompts of this frame give to found boxes, -1 where none."""
    names = np.full(len(boxes_xyxy), -1, np.int64)
    for prompt in prompts:
        row = _claimed(prompt, boxes_xyxy)
        if row is not None:
            names[row] = prompt.object_id
    return names


def _claimed(prompt: Prompt, boxes_xyxy: np.ndarray) -> int | None:
    """The row of (M, 4) boxes that a prompt speaks of: the best fit, or the smallest around its points."""
    if prompt.clicks_alone:
        rows = boxes_around(prompt.points[prompt.labels], boxes_xyxy)
        return int(rows[0]) if len(rows) else None
    box = prompt.box if prompt.box is not None else masks.tight_box(prompt.mask)
    overlaps = box_iou(box[None], boxes_xyxy)[0]
    return int(overlaps.argmax()) if len(overlaps) and overlaps.max() >= 0.5 else None
