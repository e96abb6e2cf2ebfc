"""The segment stage: HQ-SMem (Kazemi et al., 2025), any base tracker with three parts above it.

A base tracker carries the masks; `lives` decides who is tracked, occluded or lost; the detector's finds confirm
objects, start new ones and bring lost ones back (`newcomers`); a refiner makes first masks of boxes and clicks and,
where one is chosen, refines tracked masks behind an IoU gate. Refined masks go out, and into the tracker only past
a stricter gate: feeding all of them back made the authors' tracker worse.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
import torch

from memory_bank.protocol import MemoryStats
from pipelines.association import AssociationConfig, box_window, contained, match, match_fragments
from pipelines.grabcut import GrabCutRefiner
from pipelines.lives import Life, LifeConfig, judge, update
from pipelines.newcomers import Newcomers
from pipelines.refine import Refiner, SamHqRefiner, first_mask, refine_mask
from pipelines.refine_policy import RefineConfig
from pipelines.trackers.embedded import EmbeddedTracker, EmbeddedTrackerConfig
from pipelines.trackers.protocol import Propagation
from streamvos import masks
from streamvos.boxes import box_iou
from streamvos.errors import InputError
from streamvos.models.sam_hq import SamHqPredictor
from streamvos.records import Detections, Frame, MemoryAction, MemoryEvent, ObjectMasks, Prompt, StepResult

_FRAGMENT_AFTER_S = 0.6  # without a detection of its own, an object inside another's detection is a part of it


@dataclass(frozen=True)
class _Seen:
    """Objects of one frame at the working size (h, w): ids, bool masks, and the maps they come from, where any."""

    size: tuple[int, int]
    ids: list[int]
    masks: list[np.ndarray]
    probabilities: list[np.ndarray | None]


@dataclass(frozen=True)
class SegmentConfig:
    """What is followed and how."""

    discover: bool = True  # start objects from detections; off: only prompts
    max_objects: int = 12  # followed at once; more are refused (prompts) or wait (detections)
    refiner: Literal["none", "grabcut", "sam-hq"] = "none"  # of tracked masks; "sam-hq" needs its weights
    sam_size: Literal["vit_tiny", "vit_b", "vit_l", "vit_h"] = "vit_tiny"  # larger is finer and slower
    refine_every: int = 10  # frames between refinements of an object; smaller is finer and slower
    min_component_share: float = 0.05  # of the largest; smaller islands of a mask are dropped
    tracker: EmbeddedTrackerConfig = field(default_factory=EmbeddedTrackerConfig)
    life: LifeConfig = field(default_factory=LifeConfig)
    association: AssociationConfig = field(default_factory=AssociationConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)


class SegmentStage:
    """Fills in `masks`, and the `object_ids` of `detections`.

    Args:
        config: see `SegmentConfig`.
        size: working short side in pixels.
        device: where networks run.
        seed: of the refiner's random choices.

    Raises:
        InputError: a setting out of range.
        MissingWeightsError: weights that the configuration asks for are not on this machine.
    """

    name = "segment"

    def __init__(self, config: SegmentConfig, size: int, device: torch.device, seed: int = 0) -> None:
        if config.max_objects < 1:
            raise InputError(f"segment.max_objects: expected at least 1, got {config.max_objects}")
        self.config = config
        self.tracker = EmbeddedTracker(config.tracker, size, device)
        self._first_refiner: Refiner = GrabCutRefiner(seed=seed)
        self._refiner = make_refiner(config, device, seed)
        self.reset()

    def reset(self) -> None:
        self.tracker.reset()
        self._lives: dict[int, Life] = {}
        self._newcomers = Newcomers(self.config.association)
        self._events: list[MemoryEvent] = []
        self._next_id = 1

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        for removal in result.removals:
            self._forget(removal.object_id)
        if result.is_cut:
            self._end_shot()
        self.tracker.observe(frame.image)
        propagation = self._clean(self.tracker.propagate())
        confident = self._judge(frame, propagation)
        self._retire_long_lost(frame.time_s)
        fresh: dict[int, np.ndarray] = {}  # (H, W) masks of objects started or corrected in this frame
        self._take_prompts(frame, result.prompts, fresh)
        detections = self._take_detections(frame, result.detections, propagation, fresh)
        propagation = _keep(propagation, [key in self._lives and key not in fresh for key in propagation.object_ids])
        refined = self._refine(frame, propagation, confident)
        self.tracker.memorize(frame.index, propagation, confident)
        events = (*self.tracker.drain_events(), *self._events)
        self._events = []
        return dataclasses.replace(
            result,
            masks=self._compose(frame.size, propagation, {**refined, **fresh}),
            detections=detections,
            events=result.events + events,
        )

    def stats(self) -> Mapping[str, MemoryStats]:
        return {"keyframes": self.tracker.stats()}

    def state_dict(self) -> dict[str, Any]:
        return {
            "tracker": self.tracker.state_dict(),
            "lives": {object_id: life.state_dict() for object_id, life in self._lives.items()},
            "newcomers": self._newcomers.state_dict(),
            "next_id": self._next_id,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        self.tracker.load_state_dict(state["tracker"])
        self._lives = {object_id: Life(**life) for object_id, life in state["lives"].items()}
        self._newcomers.load_state_dict(state["newcomers"])
        self._next_id = state["next_id"]

    def products(self) -> dict[str, Any]:
        return {"num_objects": self._next_id - 1, "tracker_bytes": self.tracker.state_bytes()}

    def close(self) -> None:
        """Nothing is open."""

    def _forget(self, object_id: int) -> None:
        self.tracker.remove(object_id)
        self._lives.pop(object_id, None)
        self._newcomers.forget(object_id)

    def _end_shot(self) -> None:
        """Discovered objects end and may be recognised later; the user's stay, lost until they are seen again."""
        for object_id, life in list(self._lives.items()):
            if life.prompted:
                life.state, life.score = "lost", 0.0
            else:
                self._retire(object_id)
        self.tracker.start_shot()
        self._newcomers.start_shot()

    def _clean(self, propagation: Propagation) -> Propagation:
        """Drop islands that are small beside an object's largest part."""
        for probability in propagation.probabilities:
            drop_islands(probability, self.config.min_component_share)
        return propagation

    def _judge(self, frame: Frame, propagation: Propagation) -> dict[int, bool]:
        """Update every object's life; masks of objects that are not visible are emptied in place."""
        confident = {}
        for object_id, probability in zip(propagation.object_ids.tolist(), propagation.probabilities, strict=True):
            life, inside = self._lives[object_id], probability > 0.5
            area_px = int(inside.sum())
            confidence = float(probability[inside].mean()) if area_px else 0.0
            judgement = judge(life, area_px, confidence, frame.time_s, self.config.life)
            before = life.state
            update(life, judgement, area_px, confidence, frame.time_s, self.config.life)
            if not judgement.visible:
                probability[:] = 0.0
            if life.state != before and life.state != "tracked":
                self._tell("skip", frame.index, f"object {object_id}", f"{life.state}: {judgement.reason}")
            confident[object_id] = judgement.confident
        return confident

    def _take_prompts(self, frame: Frame, prompts: tuple[Prompt, ...], fresh: dict[int, np.ndarray]) -> None:
        """Start or correct the objects that the user points at."""
        for prompt in prompts:
            known = self._lives.get(prompt.object_id)
            if known is None and len(self._lives) >= self.config.max_objects:
                self._make_room(prompt.object_id)
            mask = first_mask(frame.image, prompt, self._first_refiner)
            self.tracker.remove(prompt.object_id)  # what it learned before the correction may be wrong
            self.tracker.add(frame.index, prompt.object_id, mask)
            life = known or Life(True)
            life.prompted, life.state, life.score, life.usual_area_px = True, "tracked", 1.0, 0.0
            life.label = prompt.label or life.label
            life.seen_s = life.confirmed_s = frame.time_s
            self._lives[prompt.object_id] = life
            self._next_id = max(self._next_id, prompt.object_id + 1)
            fresh[prompt.object_id] = mask

    def _make_room(self, object_id: int) -> None:
        droppable = [(life.seen_s, key) for key, life in self._lives.items() if not life.prompted]
        if not droppable:
            raise InputError(
                f"object {object_id}: {len(self._lives)} objects are followed already (segment.max_objects); "
                "remove one first or raise the limit"
            )
        self._forget(min(droppable)[1])

    def _take_detections(
        self, frame: Frame, found: Detections | None, propagation: Propagation, fresh: dict[int, np.ndarray]
    ) -> Detections | None:
        """Match detections with objects; start and recover objects from the rest."""
        if found is None:
            return None
        seen = self._seen(propagation, fresh)
        scale = np.array([frame.size[1] / seen.size[1], frame.size[0] / seen.size[0]] * 2)
        boxes = (np.array([masks.tight_box(mask) for mask in seen.masks]).reshape(-1, 4) * scale).astype(np.float32)
        names = [self._lives[key].class_name for key in seen.ids]
        pairs = match(found, boxes, names, self.config.association.min_iou)
        pairs |= match_fragments(found, seen.masks, names, pairs, frame.size, self.config.association.min_inside)
        object_ids = np.full(len(found), -1, np.int64)
        for row, column in pairs.items():
            object_ids[row] = seen.ids[column]
            self._lives[seen.ids[column]].vote(found.class_names[row], float(found.scores[row]), frame.time_s)
            self._agree(frame, found, row, seen, column, boxes[column], fresh)
        if self.config.discover:
            self._drop_fragments(frame, found, seen, pairs, names)
            current = [
                (name, mask) for key, name, mask in zip(seen.ids, names, seen.masks, strict=True) if key in self._lives
            ]
            self._discover(frame, found, object_ids, current, fresh)
        return dataclasses.replace(found, object_ids=object_ids)

    def _seen(self, propagation: Propagation, fresh: dict[int, np.ndarray]) -> _Seen:
        """All objects' masks of this frame at the working size."""
        size = propagation.probabilities.shape[1:]
        ids, shown, probabilities = list(fresh), [shrink(mask, size) for mask in fresh.values()], [None] * len(fresh)
        for key, probability in zip(propagation.object_ids.tolist(), propagation.probabilities, strict=True):
            if key in self._lives and key not in fresh:
                ids.append(key)
                shown.append(probability > 0.5)
                probabilities.append(probability)
        return _Seen(size, ids, shown, probabilities)

    def _agree(
        self,
        frame: Frame,
        found: Detections,
        row: int,
        seen: _Seen,
        column: int,
        box_xyxy: np.ndarray,
        fresh: dict[int, np.ndarray],
    ) -> None:
        """Cut a discovered object's mask to its detection; make it anew where the two disagree."""
        object_id, probability, rules = seen.ids[column], seen.probabilities[column], self.config.association
        if probability is None or self._lives[object_id].prompted or found.scores[row] < rules.min_new_score:
            return
        overlap = float(box_iou(found.boxes_xyxy[row][None], box_xyxy[None])[0, 0])
        if overlap >= rules.agree_iou:
            outside = np.ones(probability.shape, bool)
            outside[box_window(found.boxes_xyxy[row], probability.shape, frame.size, rules.box_margin)] = False
            probability[outside] = 0.0
            return
        mask = first_mask(frame.image, Prompt(frame.index, object_id, box=found.boxes_xyxy[row]), self._first_refiner)
        try:
            self.tracker.add(frame.index, object_id, mask)
        except InputError as error:  # too small at the working size
            self._tell("reject", frame.index, f"object {object_id}", str(error))
            return
        fresh[object_id] = mask
        life = self._lives[object_id]
        life.state, life.seen_s, life.score = "tracked", frame.time_s, float(found.scores[row])
        life.usual_area_px = 0.0
        self._tell(
            "refine", frame.index, f"object {object_id}", f"its detection disagrees (IoU {overlap:.2f}): new mask"
        )

    def _drop_fragments(
        self, frame: Frame, found: Detections, seen: _Seen, pairs: dict[int, int], names: list[str]
    ) -> None:
        """Objects inside another one's detection that the detector has not confirmed lately are parts of it."""
        for column, key in enumerate(seen.ids):
            life = self._lives[key]
            if column in pairs.values() or life.prompted or frame.time_s - life.confirmed_s < _FRAGMENT_AFTER_S:
                continue
            for row, owner in pairs.items():
                inside = contained(found.boxes_xyxy[row], seen.masks[column], frame.size)
                if names[owner] == names[column] and inside >= self.config.association.min_inside:
                    self._tell("merge", frame.index, f"object {key}", f"{inside:.0%} inside object {seen.ids[owner]}")
                    self._forget(key)
                    break

    def _discover(
        self,
        frame: Frame,
        found: Detections,
        object_ids: np.ndarray,
        current: list[tuple[str, np.ndarray]],
        fresh: dict[int, np.ndarray],
    ) -> None:
        """Give believable unmatched detections an identity: a lost object's, a retired one's, or a new one."""
        for row in self._newcomers.believe(frame.size, found, object_ids, current):
            class_name, score = found.class_names[row], float(found.scores[row])
            mask = first_mask(frame.image, Prompt(frame.index, 1, box=found.boxes_xyxy[row]), self._first_refiner)
            waiting = {
                key: (life.class_name, self.tracker.appearances(key))
                for key, life in self._lives.items()
                if life.state != "tracked" and not life.prompted
            }
            object_id, reason = self._newcomers.recognise(self.tracker.appearance(mask), class_name, waiting)
            if object_id not in self._lives and not self._has_room(frame, class_name):
                continue
            object_id = object_id or self._next_id
            try:
                self.tracker.add(frame.index, object_id, mask)
            except InputError as error:  # too small at the working size
                self._tell("skip", frame.index, class_name, str(error))
                continue
            self._next_id = max(self._next_id, object_id + 1)
            self._newcomers.forget(object_id)
            life = self._lives.setdefault(object_id, Life(False))
            life.vote(class_name, score, frame.time_s)
            life.state, life.seen_s, life.score, life.usual_area_px = "tracked", frame.time_s, score, 0.0
            object_ids[row], fresh[object_id] = object_id, mask
            self._tell("write", frame.index, f"object {object_id}", f"{class_name} {score:.2f}: {reason}")

    def _has_room(self, frame: Frame, class_name: str) -> bool:
        """Room for one more discovered object, made by dropping the one lost longest where need be."""
        if len(self._lives) < self.config.max_objects:
            return True
        lost = [(life.seen_s, key) for key, life in self._lives.items() if life.state == "lost" and not life.prompted]
        if not lost:
            self._tell("skip", frame.index, class_name, f"{len(self._lives)} objects are followed already")
            return False
        self._retire(min(lost)[1])
        return True

    def _retire(self, object_id: int) -> None:
        """Stop following an object, but recognise it should it return."""
        self._newcomers.retire(object_id, self._lives[object_id].class_name, self.tracker.appearances(object_id))
        self.tracker.remove(object_id)
        del self._lives[object_id]

    def _retire_long_lost(self, time_s: float) -> None:
        for object_id, life in list(self._lives.items()):
            if not life.prompted and time_s - life.seen_s > self.config.life.retire_after_s:
                self._retire(object_id)

    def _refine(self, frame: Frame, propagation: Propagation, confident: dict[int, bool]) -> dict[int, np.ndarray]:
        """Refine tracked masks whose turn it is; what passes the stricter gate also goes into the tracker."""
        refined: dict[int, np.ndarray] = {}
        if self._refiner is None:
            return refined
        for object_id, probability in zip(propagation.object_ids.tolist(), propagation.probabilities, strict=True):
            if (frame.index + object_id) % self.config.refine_every or not (probability > 0.5).any():
                continue
            self._refiner.set_image(frame.image, frame.index)
            coarse = enlarge(probability, frame.size)
            mask, decision = refine_mask(self._refiner, coarse, self.config.refine, self._likeness(object_id))
            size = self.tracker.state_bytes()
            self._events.append(decision.event(frame.index, object_id, "keyframes", size))
            if decision.action == "refine":
                refined[object_id] = mask
                if decision.feed_back and confident.get(object_id, False):
                    probability[:] = np.where(shrink(mask, probability.shape), np.maximum(probability, 0.9), 0.0)
        return refined

    def _likeness(self, object_id: int) -> Callable[[np.ndarray], float]:
        """How like the object's key frames a mask's content is, in [0, 1]."""
        known = self.tracker.appearances(object_id)

        def likeness(mask: np.ndarray) -> float:
            return float(np.clip((known @ self.tracker.appearance(mask)).max(), 0.0, 1.0))

        return likeness

    def _compose(self, size: tuple[int, int], propagation: Propagation, decided: dict[int, np.ndarray]) -> ObjectMasks:
        """All objects' masks at full size, apart from each other; those decided in this frame come first."""
        taken = np.zeros(size, bool)
        pictures: dict[int, np.ndarray] = {}
        for object_id, mask in decided.items():
            pictures[object_id] = mask & ~taken
            taken |= mask
        for object_id, probability in zip(propagation.object_ids.tolist(), propagation.probabilities, strict=True):
            if object_id not in pictures:
                pictures[object_id] = enlarge(probability, size) & ~taken
        empty = np.zeros(size, bool)
        ids = sorted(self._lives)
        shown = [pictures.get(object_id, empty) for object_id in ids]
        lives = [self._lives[object_id] for object_id in ids]
        return ObjectMasks(
            size,
            np.array(ids, np.int64),
            tuple(masks.encode(mask) for mask in shown),
            np.array([masks.tight_box(mask) for mask in shown], np.float32).reshape(-1, 4),
            np.array([life.score for life in lives], np.float32),
            tuple(life.state for life in lives),
            tuple(life.class_name for life in lives),
        )

    def _tell(self, action: MemoryAction, frame_index: int, entry: str, reason: str) -> None:
        self._events.append(MemoryEvent("keyframes", action, frame_index, entry, reason, self.tracker.stats().bytes))


def make_refiner(config: SegmentConfig, device: torch.device, seed: int) -> Refiner | None:
    """The refiner of tracked masks that a configuration names, None for "none"."""
    if config.refiner == "none":
        return None
    if config.refiner == "grabcut":
        return GrabCutRefiner(seed=seed)
    return SamHqRefiner(SamHqPredictor(config.sam_size, None, device))


def drop_islands(probability: np.ndarray, min_share: float) -> None:
    """Set to 0, in place, the parts of an (h, w) probability map whose area is small beside the largest part."""
    count, labels, numbers, _ = cv2.connectedComponentsWithStats((probability > 0.5).astype(np.uint8), connectivity=8)
    if count <= 2:
        return
    areas = numbers[1:, cv2.CC_STAT_AREA]
    small = np.flatnonzero(areas < min_share * areas.max()) + 1
    if len(small):
        probability[np.isin(labels, small)] = 0.0


def enlarge(probability: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) probability to an (H, W) bool mask; only the object's surroundings are scaled."""
    mask = np.zeros(size, bool)
    if (probability > 0.5).any():
        mask[:] = cv2.resize(probability, size[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    return mask


def shrink(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool to (h, w) bool."""
    return cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_AREA) > 0


def _keep(propagation: Propagation, rows: list[bool]) -> Propagation:
    kept = np.array(rows, bool)
    return Propagation(propagation.object_ids[kept], propagation.probabilities[kept])
