"""The segment stage: HQ-SMem (Kazemi et al., 2025), any base tracker with three parts above it.

A base tracker carries the masks; `track_state` decides who is tracked, occluded or lost; the detector's finds confirm
objects and correct them (`association`), start new ones and bring lost ones back (`discovery`); a refiner makes first
masks of boxes and clicks and, where one is chosen, refines tracked masks (`refinement`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from memory_bank.appearance import RetiredObjects
from memory_bank.budgets import MemoryBudgets
from memory_bank.protocol import MemoryStats
from pipelines.refiners.config import RefineConfig
from pipelines.refiners.first_mask import first_candidate
from pipelines.refiners.protocol import RefinerSetup
from pipelines.refiners.registry import first_mask_names, make_refiner, refiner_kinds, refiner_names
from pipelines.scores import ScoreThresholds
from pipelines.segmentation.appearance import AppearanceModel
from pipelines.segmentation.association import Association
from pipelines.segmentation.discovery import Discovery
from pipelines.segmentation.identity import Identity
from pipelines.segmentation.identity_policy import Verdict
from pipelines.segmentation.mask_maps import at_full_size, without_islands
from pipelines.segmentation.new_objects import NewObjects
from pipelines.segmentation.object_table import ObjectTable
from pipelines.segmentation.refinement import Refinement
from pipelines.segmentation.track_state import Track, TrackRules, judge, update
from pipelines.trackers.protocol import Propagation
from pipelines.trackers.registry import TRACKERS, make_tracker, tracker_settings
from streamvos import masks
from streamvos.config import Settings, chosen, setting, table
from streamvos.device import Precision
from streamvos.errors import InputError
from streamvos.records import Detections, Frame, ObjectMasks, Prompt, StepResult

_MIN_ISLAND = 0.05  # of an object's largest part; smaller parts of a mask are noise
PERSON_IDS = 100  # of an interactive run: ids up to it are for the objects that a person points at


@dataclass(frozen=True)
class SegmentConfig(Settings, at="segment"):
    """What is followed and how."""

    discover: bool = setting(True, "start objects from detections; off: only prompts")
    base: str = setting(
        "trained",
        "the tracker that carries masks: trained adds a network of this project to embedded; cutie, sam2 and edgetam "
        "need fetched weights",
        names=TRACKERS.names,
    )
    tracker: Settings = chosen("base", tracker_settings)
    max_objects: int = setting(12, "followed at once; more are refused (prompts) or wait (detections)", low=1)
    # At first there may be nothing to follow, a prompt that cannot be followed is refused by an event where otherwise
    # it ends the run, and what is found gets ids above PERSON_IDS.
    interactive: bool = setting(False, "a person points while it runs")
    first_masks: str = setting("embedded", "what makes masks of boxes and clicks", names=first_mask_names)
    refiner: str = setting("embedded", "what refines tracked masks; none is faster", names=refiner_names)
    # Below `tracker`: the table [segment.embedded] is the tracker's, as the refiner of that name has no settings.
    refiner_settings: Settings | None = chosen("refiner", refiner_kinds)
    refine: RefineConfig = table(RefineConfig)
    lost_after_s: float = setting(2.0, "an object that was not seen for longer is lost; larger waits longer", above=0)
    retire_after_s: float = setting(
        5.0, "a found object not seen for longer is no longer looked for, only recognised", above=0
    )
    min_area_share: float = setting(0.0012, "of the frame; smaller detections start no object", low=0, high=1)
    verify: bool = setting(
        True,
        "hide masks that have slid onto something else, and look for lost objects by their looks; "
        "off: the base tracker is believed",
    )


class SegmentStage:
    """Fills in `masks`, and the `object_ids` of `detections`.

    Args:
        config: see `SegmentConfig`.
        size: working short side in pixels.
        device: where networks run.
        seed: of the refiner's random choices.
        scores: how sure detections must be; None: the defaults.
        budgets: of the memories, likewise.
        precision: of frozen networks.

    Raises:
        MissingWeightsError: weights that the configuration asks for are not on this machine.
    """

    name = "segment"

    def __init__(
        self,
        config: SegmentConfig,
        size: int,
        device: torch.device,
        seed: int = 0,
        scores: ScoreThresholds | None = None,
        budgets: MemoryBudgets | None = None,
        precision: Precision = "auto",
    ) -> None:
        scores, budgets = scores or ScoreThresholds(), budgets or MemoryBudgets()
        self.config, self._track_rules = config, TrackRules()
        self.tracker = make_tracker(config.base, config.tracker, size, device, budgets, precision)
        # Often the same, which needs its network once; what makes first masks has no settings.
        names = {config.first_masks: None, config.refiner: config.refiner_settings}
        setup = RefinerSetup(device, precision, seed)
        made = {name: make_refiner(name, settings, setup) for name, settings in names.items()}
        self._first_refiner = made[config.first_masks]
        retired = RetiredObjects(budgets.bytes_of("retired"))
        first_found_id = PERSON_IDS + 1 if config.interactive else 1
        self._table = ObjectTable(
            self.tracker, retired, config.max_objects, budgets.bytes_of("objects"), first_found_id
        )
        self._new_objects = NewObjects(scores, config.min_area_share, retired)
        self._association = Association(scores, self.tracker, self._table, self._first_refiner)
        self._discovery = Discovery(self.tracker, self._table, self._new_objects, self._first_refiner)
        appearance = AppearanceModel(budgets.bytes_of("appearance"), device)
        self._identity = Identity(config.verify, appearance, self.tracker, self._table)
        self._refinement = Refinement(made[config.refiner], config.refine, self.tracker, self._table)
        self.reset()

    def reset(self) -> None:
        self.tracker.reset()
        self._table.reset()
        self._new_objects.reset()
        self._identity.reset()
        self._refinement.reset()

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        self._take_words(result)
        if result.is_cut:
            self._table.end_shot(frame.index)
            self._new_objects.start_shot()
            self._identity.start_shot()
        self.tracker.observe(frame.image)
        propagation = _clean(self.tracker.propagate())
        propagation, verdicts = self._identity.check(frame, propagation)
        propagation, confident = self._judge(frame, propagation, verdicts)
        self._table.retire_long_lost(frame, self.config.retire_after_s)
        decided = self._take_prompts(frame, result.prompts, result.detections)
        found, propagation = self._take_finds(frame, result.detections, propagation, decided)
        gone = [key for key, _ in propagation.items() if key not in self._table.tracks or key in decided]
        propagation, refined = self._refinement.step(frame, propagation.without(gone), confident)
        self.tracker.memorize(frame.index, propagation, confident)
        corrected = {prompt.object_id for prompt in result.prompts}
        self._identity.learn(frame.index, propagation, verdicts, confident, decided, corrected)
        self._table.note_size()
        told = (self.tracker.drain_events(), self._table.drain_events(), self._identity.drain_events())
        return dataclasses.replace(
            result,
            masks=self._compose(frame.size, frame.time_s, propagation, {**decided, **refined}),
            detections=found,
            events=(*result.events, *(event for events in told for event in events)),
        )

    def stats(self) -> Mapping[str, MemoryStats]:
        return {"keyframes": self.tracker.stats(), **self._identity.stats(), **self._table.stats()}

    def state_dict(self) -> dict[str, Any]:
        return {
            "tracker": self.tracker.state_dict(),
            "table": self._table.state_dict(),
            "new_objects": self._new_objects.state_dict(),
            "refinement": self._refinement.state_dict(),
            "identity": self._identity.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        self.tracker.load_state_dict(state["tracker"])
        self._table.load_state_dict(state["table"])
        self._new_objects.load_state_dict(state["new_objects"])
        self._refinement.load_state_dict(state["refinement"])
        self._identity.load_state_dict(state["identity"])

    def products(self) -> dict[str, Any]:
        return {"tracker_bytes": self.tracker.state_bytes()}

    def close(self) -> None:
        """Nothing is open."""

    def _take_words(self, result: StepResult) -> None:
        """What the user says of objects that are followed: drop them, call them so."""
        for removal in result.removals:
            self._table.forget(removal.object_id)
        for naming in result.namings:
            if naming.object_id in self._table.tracks:
                self._table.tracks[naming.object_id].label = naming.label

    def _judge(
        self, frame: Frame, propagation: Propagation, verdicts: Mapping[int, Verdict]
    ) -> tuple[Propagation, dict[int, bool]]:
        """Update every object's track; the maps without what is not visible, and who may be learned."""
        confident: dict[int, bool] = {}
        hidden: dict[int, np.ndarray] = {}
        for object_id, probability in propagation.items():
            track, inside = self._table.tracks[object_id], probability > 0.5
            area_px = int(inside.sum())
            confidence = float(probability[inside].mean()) if area_px else 0.0
            verdict = verdicts.get(object_id)
            judgement = judge(track, area_px, confidence, frame.time_s, self._track_rules, verdict)
            before = track.state
            if judgement.visible and verdict is not None and verdict.belief == "returned":
                track.usual_area_px = 0.0  # it may be half-hidden, or at another distance
            lost_after_s = self.config.lost_after_s
            update(track, judgement, area_px, confidence, frame.time_s, lost_after_s, self._track_rules)
            if not judgement.visible:
                hidden[object_id] = np.zeros_like(probability)
            if track.state != before and track.state != "tracked":
                numbers = {"area_px": area_px, "confidence": confidence}
                reason = f"object {object_id} is {track.state}: {judgement.reason}"
                self._table.tell("skip", frame.index, f"object {object_id}", reason, numbers)
            confident[object_id] = judgement.confident
        return propagation.with_some(hidden), confident

    def _take_finds(
        self, frame: Frame, found: Detections | None, propagation: Propagation, decided: dict[int, np.ndarray]
    ) -> tuple[Detections | None, Propagation]:
        """The detections with their identities, and the maps cut to them; masks made anew enter `decided`."""
        if found is None:
            return None, propagation
        associated = self._association.step(frame, found, propagation, decided)
        decided |= associated.decided
        object_ids = associated.object_ids.copy()
        if self.config.discover:
            for row, object_id, mask in self._discovery.step(frame, found, associated, propagation.size):
                object_ids[row], decided[object_id] = object_id, mask
        return dataclasses.replace(found, object_ids=object_ids), associated.propagation

    def _take_prompts(
        self, frame: Frame, prompts: tuple[Prompt, ...], found: Detections | None
    ) -> dict[int, np.ndarray]:
        """(H, W) masks of the objects that the user points at, which are started or corrected."""
        decided = {}
        for prompt in prompts:
            try:
                decided[prompt.object_id] = self._take_prompt(frame, prompt, found)
            except InputError as error:
                if not self.config.interactive:
                    raise
                self._table.tell("reject", frame.index, f"object {prompt.object_id}", str(error))
        return decided

    def _take_prompt(self, frame: Frame, prompt: Prompt, found: Detections | None) -> np.ndarray:
        known = self._table.tracks.get(prompt.object_id)
        if known is None:
            self._table.make_room(prompt.object_id)
        instances = None if found is None else found.boxes_xyxy
        first = first_candidate(frame.image, prompt, self._first_refiner, instances=instances)
        self.tracker.add(frame.index, prompt.object_id, first.mask, replace=True)
        if prompt.mask is None:
            numbers = {} if first.predicted_iou is None else {"predicted_iou": first.predicted_iou}
            self._table.tell("refine", frame.index, f"object {prompt.object_id}", first.reason, numbers)
        track = known or Track(True)
        track.prompted, track.state, track.score, track.usual_area_px = True, "tracked", 1.0, 0.0
        track.label = prompt.label or track.label
        track.seen_s = track.confirmed_s = frame.time_s
        track.motion, track.beyond = None, np.zeros(4)
        self._table.enter(prompt.object_id, track)
        return first.mask

    def _compose(
        self, size: tuple[int, int], time_s: float, propagation: Propagation, decided: dict[int, np.ndarray]
    ) -> ObjectMasks:
        """All objects' masks at full size, apart from each other; those decided in this frame come first."""
        taken = np.zeros(size, bool)
        pictures: dict[int, np.ndarray] = {}
        for object_id, mask in decided.items():
            pictures[object_id] = mask & ~taken
            taken |= mask
        for object_id, probability in propagation.items():
            if object_id not in pictures and (probability > 0.5).any():
                pictures[object_id] = (at_full_size(probability, size) > 0.5) & ~taken
        empty = np.zeros(size, bool)
        ids = sorted(self._table.tracks)
        shown = [pictures.get(object_id, empty) for object_id in ids]
        boxes = np.array([masks.tight_box(mask) for mask in shown], np.float32).reshape(-1, 4)
        tracks = [self._table.tracks[object_id] for object_id in ids]
        whole = [
            track.whole_box(box if mask.any() else None, time_s)
            for track, box, mask in zip(tracks, boxes, shown, strict=True)
        ]
        return ObjectMasks(
            size,
            np.array(ids, np.int64),
            tuple(masks.encode(mask) for mask in shown),
            boxes,
            np.array([track.score for track in tracks], np.float32),
            tuple(track.state for track in tracks),
            tuple(track.class_name for track in tracks),
            np.array([track.class_score for track in tracks], np.float32),
            np.array(whole, np.float32).reshape(-1, 4),
        )


def _clean(propagation: Propagation) -> Propagation:
    """Without islands that are small beside an object's largest part."""
    cleaned = {key: without_islands(one, _MIN_ISLAND) for key, one in propagation.items()}
    return propagation.with_some({key: cleaned[key] for key, one in propagation.items() if cleaned[key] is not one})
