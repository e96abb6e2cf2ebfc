"""The detect stage: what is in the frame, every few frames, with a memory that helps where the frame is degraded.

After MAMBA (Sun et al., AAAI 2021): feature maps are enhanced from a bank of feature vectors between backbone and
heads, then each expected instance lends its class evidence to the anchor at its expected place. Both only on frames
that are blurred, noisy or dark beside the rest of their shot; on every other frame the detector's output passes
untouched, bit for bit. A cut voids all expected places.

On real clips with made-up bursts of blur, noise and darkness, measured against the detector's own output on the clean
frames, each level helped alone (places more than vectors) and both together most, on the clips that the settings were
chosen on and on others; the memory of another video did worse than none. So both are on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from memory_bank.budgets import MemoryBudgets
from memory_bank.features.memory import FeatureMemory
from memory_bank.features.policy import FeatureMemoryConfig
from memory_bank.protocol import MemoryStats
from pipelines.detection.looks import NUM_QUARTERS, Looks
from pipelines.detection.second_look import look_again
from pipelines.frame_quality import GateConfig, QualityGate
from pipelines.scores import ScoreThresholds
from streamvos import masks
from streamvos.boxes import box_iou, boxes_around, keep_apart
from streamvos.config import Settings, setting, table
from streamvos.errors import InputError, unknown_name
from streamvos.models.candidates import Candidates, suppress
from streamvos.models.detectors import DETECTORS, DetectorFunction, DetectorSetup
from streamvos.records import Detections, Frame, Prompt, StepResult

_MAX_CANDIDATES = 200  # that enter the search for duplicates, best first: four times what is kept by default
OPEN_VOCABULARY = "owlv2"
_NO_BOXES = np.zeros((0, 4), np.float32)
_MIN_PROMPT_IOU = 0.5  # of a prompt's box with a found one, or an expected place, that it refers to; the usual half


def _detectors() -> tuple[str, ...]:
    """The names of all detectors, the default first."""
    return tuple(sorted(DETECTORS.names(), key=lambda name: name != "ssd-mobilenet-v2"))


@dataclass(frozen=True)
class DetectConfig(Settings, at="detect"):
    """How often the detector runs, and with which memory; its scores are those of `[scores]`."""

    detector: str = setting(
        "ssd-mobilenet-v2",
        "the network that finds instances; weights of all but the first must be fetched; owlv2 looks for any words, "
        "`function` is the `detector` that a `Session` was given",
        names=_detectors,
    )
    every: int = setting(
        5,
        "it runs on every so many-th frame, after a cut, and where a click must be explained; larger is faster and "
        "finds instances later",
        low=1,
    )
    classes: tuple[str, ...] = setting(
        (), "names to look for; empty: all that the detector knows. COCO's 80, with owlv2 and `function` any words"
    )
    max_detections: int = setting(50, "the best so many are kept of a frame", low=1)
    nms: float = setting(
        0.6,
        "boxes of one class that overlap by a larger IoU are one instance; lower merges neighbours",
        above=0,
        high=1,
    )
    same_place: float = setting(
        0.85,
        "boxes of different classes that overlap by a larger IoU are one instance, the better stays",
        above=0,
        high=1,
    )
    looks: int = setting(
        0,
        "quarters of the frame that each run looks at beside the whole frame, for small things; fewer than all 4 go "
        "where memory expects something; each costs as much time as the whole frame",
        low=0,
        high=NUM_QUARTERS,
    )
    memory: bool = setting(True, "help degraded frames by what was seen before; off: every frame is seen alone")
    gate: GateConfig = table(GateConfig)
    features: FeatureMemoryConfig = table(FeatureMemoryConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = DETECTORS.get(self.detector).names
        for name in self.classes if known is not None else ():
            if name not in known:
                told = unknown_name("value of detect.classes", name, known)
                raise InputError(f"{told}; detect.detector={OPEN_VOCABULARY!r} looks for any words")


class DetectStage:
    """Fills in `detections`; None on frames where the detector does not run, empty where it finds nothing.

    Args:
        config: see `DetectConfig`.
        scores: from which a detection counts, and enters the memory.
        budgets: of which the feature memory has its bytes.
        device: where the network runs.
        seed: of the memory's random choices.
        function: the user's own detector, where the configuration names it.

    Raises:
        MissingWeightsError: the detector's weights are not installed.
    """

    name = "detect"

    def __init__(
        self,
        config: DetectConfig,
        scores: ScoreThresholds,
        budgets: MemoryBudgets,
        device: torch.device,
        seed: int = 0,
        function: DetectorFunction | None = None,
    ) -> None:
        self.config, self.scores = config, scores
        setup = DetectorSetup(device, config.classes, function)
        self.detector = DETECTORS.get(config.detector).build(setup)
        self._vocabulary = self.detector.vocabulary
        self._gate = QualityGate(config.gate)
        self._memory: FeatureMemory | None = None
        if config.memory:
            self._memory = FeatureMemory(
                config.features, budgets.bytes_of("features"), self.detector.levels, self._vocabulary, seed
            )
        self.looks = Looks(config.looks)
        self._last_run = -1

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        if result.is_cut:
            self._gate.reset()
            self.looks.reset()
            if self._memory:
                self._memory.instances.start_shot(frame.index)
        if self._memory:
            for removal in result.removals:
                self._memory.remove(removal.object_id, frame.index)
        found = None
        due = self._last_run < 0 or frame.index - self._last_run >= self.config.every
        if due or result.is_cut or any(prompt.clicks_alone for prompt in result.prompts):
            self._last_run = frame.index
            found = self._look(frame, result.prompts)
        elif self._memory:
            for prompt in result.prompts:
                row = _meant_by(prompt, self._memory.instances.places(frame.index))
                if row is not None:
                    self._memory.instances.assign(row, prompt.object_id)
        events = self._memory.drain_events() if self._memory else ()
        return replace(result, detections=found, events=result.events + events + self.looks.drain_events())

    def reset(self) -> None:
        self._gate.reset()
        self.looks.reset()
        self._last_run = -1
        if self._memory:
            self._memory.reset()

    def stats(self) -> Mapping[str, MemoryStats]:
        stats = dict(self._memory.stats()) if self._memory else {}
        return stats | {self.looks.name: self.looks.stats()} if self.looks.budget else stats

    def state_dict(self) -> dict[str, Any]:
        memory = self._memory.state_dict() if self._memory else None
        gate, looks = self._gate.state_dict(), self.looks.state_dict()
        state = {"memory": memory, "gate": gate, "looks": looks, "last_run": self._last_run}
        return state | {"own_classes": self._vocabulary.own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if (state["memory"] is None) != (self._memory is None):
            raise InputError("detect snapshot: memory was on where it is off now, or the other way round")
        self._vocabulary.restore(state["own_classes"])
        if self._memory:
            self._memory.load_state_dict(state["memory"])
        self._gate.load_state_dict(state["gate"])
        self.looks.load_state_dict(state["looks"])
        self._last_run = state["last_run"]

    def products(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        """Nothing is open."""

    def _look(self, frame: Frame, prompts: tuple[Prompt, ...]) -> Detections:
        maps = self.detector.features(frame.image)
        degraded = self._gate.judge(frame.image) if self._memory else None
        arrays = self.detector.to_arrays(maps) if self._memory and self.detector.levels else {}
        if degraded and arrays:
            maps = self.detector.from_arrays(self._memory.vectors.read(frame.index, arrays))
        candidates = self.detector.predict(maps, frame.size)
        if self.looks.budget:
            expected = self._memory.instances.places(frame.index) if self._memory else _NO_BOXES
            asked = np.array([_pointed_at(prompt) for prompt in prompts], np.float32).reshape(-1, 4)
            candidates = look_again(frame, candidates, self.detector, self._choose, self.looks, expected, asked)
        if degraded:
            raised = self._memory.instances.read(frame.index, candidates.boxes_xyxy, candidates.scores)
            candidates = replace(candidates, scores=raised)
        found = self._choose(candidates)
        if self._memory:
            self._remember(frame, arrays, found, prompts, degraded)
        return found

    def _choose(self, candidates: Candidates, min_score: float | None = None) -> Detections:
        """What is in a frame, from the score of the settings on where no other is given."""
        config = self.config
        low = self.scores.detect if min_score is None else min_score
        boxes, scores, class_ids = suppress(candidates, low, config.nms, _MAX_CANDIDATES, self._wanted())
        kept = keep_apart(boxes, config.same_place)[: config.max_detections]
        names = tuple(self._vocabulary[class_id] for class_id in class_ids[kept].tolist())
        return Detections(boxes[kept], scores[kept], class_ids[kept], names, np.full(len(kept), -1, np.int64))

    def _wanted(self) -> frozenset[int]:
        """Ids of the classes that are looked for; a vocabulary may have grown since the last frame."""
        return frozenset(map(self._vocabulary.id_of, self.config.classes) if self.config.classes else self._vocabulary)

    def _remember(
        self,
        frame: Frame,
        arrays: dict[str, np.ndarray],
        found: Detections,
        prompts: tuple[Prompt, ...],
        degraded: str | None,
    ) -> None:
        sure = found.scores >= self.scores.remember
        boxes = found.boxes_xyxy[sure]
        self._memory.write(
            frame.index,
            frame.size,
            arrays,
            boxes,
            found.class_ids[sure],
            found.scores[sure],
            _object_ids(boxes, prompts),
            degraded,
        )


def _object_ids(boxes_xyxy: np.ndarray, prompts: tuple[Prompt, ...]) -> np.ndarray:
    """(M,) objects that found boxes are by the user's prompts of this frame, -1 where none."""
    object_ids = np.full(len(boxes_xyxy), -1, np.int64)
    for prompt in prompts:
        row = _meant_by(prompt, boxes_xyxy)
        if row is not None:
            object_ids[row] = prompt.object_id
    return object_ids


def _pointed_at(prompt: Prompt) -> np.ndarray:
    """(4,) box around what the user points at: the points on the object, the box, or the mask."""
    if prompt.clicks_alone:
        points = prompt.points[prompt.labels]
        return np.concatenate([points.min(axis=0), points.max(axis=0) + 1])
    return prompt.box if prompt.box is not None else masks.tight_box(prompt.mask)


def _meant_by(prompt: Prompt, boxes_xyxy: np.ndarray) -> int | None:
    """The row of (M, 4) boxes that a prompt refers to: the best fit, or the smallest around its points."""
    if prompt.clicks_alone:
        rows = boxes_around(prompt.points[prompt.labels], boxes_xyxy)
        return int(rows[0]) if len(rows) else None
    overlaps = box_iou(_pointed_at(prompt)[None], boxes_xyxy)[0]
    return int(overlaps.argmax()) if len(overlaps) and overlaps.max() >= _MIN_PROMPT_IOU else None
