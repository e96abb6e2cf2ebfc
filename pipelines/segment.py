"""The segment stage: HQ-SMem (Kazemi et al., 2025), any base tracker with three parts above it.

A base tracker carries the masks; `lives` decides who is tracked, occluded or lost; the detector's finds confirm
objects, start new ones and bring lost ones back (`discovery`); a refiner makes first masks of boxes and clicks and,
where one is chosen, refines tracked masks (`refinement`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from memory_bank.protocol import MemoryStats
from pipelines.refiners.first_mask import first_candidate
from pipelines.refiners.policy import RefineConfig
from pipelines.refiners.registry import make_refiner
from pipelines.segmentation.appearance import Appearance, AppearanceConfig
from pipelines.segmentation.discovery import Discovery
from pipelines.segmentation.identity import Identity
from pipelines.segmentation.identity_policy import IdentityConfig, Verdict
from pipelines.segmentation.mask_maps import at_full_size, drop_islands
from pipelines.segmentation.matching import AssociationConfig
from pipelines.segmentation.new_objects import Newcomers
from pipelines.segmentation.object_table import Roster
from pipelines.segmentation.refinement import Refinement
from pipelines.segmentation.track_state import Life, LifeConfig, judge, update
from pipelines.trackers.cutie import CutieConfig
from pipelines.trackers.embedded import EmbeddedTrackerConfig
from pipelines.trackers.protocol import Propagation
from pipelines.trackers.registry import make_tracker
from pipelines.trackers.sam2 import Sam2Config, VideoModelConfig
from pipelines.trackers.trained import TrainedTrackerConfig
from streamvos import masks
from streamvos.device import Precision
from streamvos.errors import InputError
from streamvos.records import Detections, Frame, ObjectMasks, Prompt, StepResult

PERSON_IDS = 100  # of an interactive run: ids up to it are for the objects that a person points at


@dataclass(frozen=True)
class SegmentConfig:
    """What is followed and how."""

    discover: bool = True  # start objects from detections; off: only prompts
    # Base tracker: "trained" adds a network of ours to "embedded"; the last three need fetched weights.
    base: Literal["embedded", "trained", "cutie", "sam2", "edgetam"] = "trained"
    max_objects: int = 12  # followed at once; more are refused (prompts) or wait (detections)
    # A person points while it runs: at first there may be nothing to follow, a prompt that cannot be followed is
    # refused by an event where otherwise it ends the run, and what is found gets ids above PERSON_IDS.
    interactive: bool = False
    first_masks: Literal["grabcut", "embedded"] = "embedded"  # what makes masks of boxes and clicks
    refiner: Literal["none", "grabcut", "embedded", "sam-hq"] = "embedded"  # of tracked masks; "none" is faster
    refiner_precision: Precision = "auto"  # of the embedded refiner; bfloat16 moves borders by a pixel at most
    sam_size: Literal["vit_tiny", "vit_b", "vit_l", "vit_h"] = "vit_tiny"  # larger is finer and slower
    sam_weights: str = ""  # a checkpoint of that size; empty: the one that `streamvos models fetch` got
    min_component_share: float = 0.05  # of the largest; smaller islands of a mask are dropped
    tracker: EmbeddedTrackerConfig = field(default_factory=EmbeddedTrackerConfig)
    trained: TrainedTrackerConfig = field(default_factory=TrainedTrackerConfig)
    cutie: CutieConfig = field(default_factory=CutieConfig)
    sam2: Sam2Config = field(default_factory=Sam2Config)
    edgetam: VideoModelConfig = field(default_factory=VideoModelConfig)
    life: LifeConfig = field(default_factory=LifeConfig)
    association: AssociationConfig = field(default_factory=AssociationConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)


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
        self.config, self._device = config, device
        self.tracker = make_tracker(config.base, config, size, device)
        makes = {config.first_masks, config.refiner}  # often the same, which needs its network once
        sam = config.sam_size, config.sam_weights
        made = {make: make_refiner(make, config.refiner_precision, *sam, device, seed) for make in makes}
        self._first_refiner, self._refiner = made[config.first_masks], made[config.refiner]
        self.reset()

    def reset(self) -> None:
        self.tracker.reset()
        self._newcomers = Newcomers(self.config.association)
        first_found_id = PERSON_IDS + 1 if self.config.interactive else 1
        self._roster = Roster(self.tracker, self._newcomers, self.config.max_objects, first_found_id)
        self._discovery = Discovery(
            self.config.association,
            self.config.discover,
            self.tracker,
            self._roster,
            self._newcomers,
            self._first_refiner,
        )
        appearance = Appearance(self.config.appearance, self.config.max_objects, self._device)
        self._identity = Identity(self.config.identity, appearance, self.tracker, self._roster)
        self._refinement = Refinement(self._refiner, self.config.refine, self.tracker, self._roster)

    def step(self, frame: Frame, result: StepResult) -> StepResult:
        for removal in result.removals:
            self._roster.forget(removal.object_id)
        for naming in result.namings:
            if naming.object_id in self._roster.lives:
                self._roster.lives[naming.object_id].label = naming.label
        if result.is_cut:
            self._roster.end_shot()
            self._identity.start_shot()
        self.tracker.observe(frame.image)
        propagation = self._clean(self.tracker.propagate())
        verdicts = self._identity.check(frame, propagation)
        confident = self._judge(frame, propagation, verdicts)
        self._roster.retire_long_lost(frame.time_s, self.config.life.retire_after_s)
        fresh: dict[int, np.ndarray] = {}  # (H, W) masks of objects started or corrected in this frame
        self._take_prompts(frame, result.prompts, result.detections, fresh)
        detections = self._discovery.step(frame, result.detections, propagation, fresh)
        propagation = self._keep_followed(propagation, fresh)
        refined = self._refinement.step(frame, propagation, confident)
        self.tracker.memorize(frame.index, propagation, confident)
        corrected = {prompt.object_id for prompt in result.prompts}
        self._identity.learn(propagation, verdicts, confident, fresh, corrected)
        return dataclasses.replace(
            result,
            masks=self._compose(frame.size, propagation, {**refined, **fresh}),
            detections=detections,
            events=(*result.events, *self.tracker.drain_events(), *self._roster.drain_events()),
        )

    def stats(self) -> Mapping[str, MemoryStats]:
        return {"keyframes": self.tracker.stats(), **self._identity.stats()}

    def state_dict(self) -> dict[str, Any]:
        return {
            "tracker": self.tracker.state_dict(),
            "roster": self._roster.state_dict(),
            "newcomers": self._newcomers.state_dict(),
            "refinement": self._refinement.state_dict(),
            "identity": self._identity.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        self.tracker.load_state_dict(state["tracker"])
        self._roster.load_state_dict(state["roster"])
        self._newcomers.load_state_dict(state["newcomers"])
        self._refinement.load_state_dict(state["refinement"])
        self._identity.load_state_dict(state["identity"])

    def products(self) -> dict[str, Any]:
        return {"tracker_bytes": self.tracker.state_bytes()}

    def close(self) -> None:
        """Nothing is open."""

    def _clean(self, propagation: Propagation) -> Propagation:
        """Drop islands that are small beside an object's largest part."""
        for probability in propagation.probabilities:
            drop_islands(probability, self.config.min_component_share)
        return propagation

    def _judge(self, frame: Frame, propagation: Propagation, verdicts: Mapping[int, Verdict]) -> dict[int, bool]:
        """Update every object's life; masks of objects that are not visible are emptied in place."""
        confident = {}
        for object_id, probability in zip(propagation.object_ids.tolist(), propagation.probabilities, strict=True):
            life, inside = self._roster.lives[object_id], probability > 0.5
            area_px = int(inside.sum())
            confidence = float(probability[inside].mean()) if area_px else 0.0
            verdict = verdicts.get(object_id)
            judgement = judge(life, area_px, confidence, frame.time_s, self.config.life, verdict)
            before = life.state
            if judgement.visible and verdict is not None and verdict.belief == "returned":
                life.usual_area_px = 0.0  # it may be half-hidden, or at another distance
            update(life, judgement, area_px, confidence, frame.time_s, self.config.life)
            if not judgement.visible:
                probability[:] = 0.0
            if life.state != before and life.state != "tracked":
                self._roster.tell("skip", frame.index, f"object {object_id}", f"{life.state}: {judgement.reason}")
            confident[object_id] = judgement.confident
        return confident

    def _take_prompts(
        self, frame: Frame, prompts: tuple[Prompt, ...], found: Detections | None, fresh: dict[int, np.ndarray]
    ) -> None:
        """Start or correct the objects that the user points at."""
        for prompt in prompts:
            try:
                fresh[prompt.object_id] = self._take_prompt(frame, prompt, found)
            except InputError as error:
                if not self.config.interactive:
                    raise
                self._roster.tell("reject", frame.index, f"object {prompt.object_id}", str(error))

    def _take_prompt(self, frame: Frame, prompt: Prompt, found: Detections | None) -> np.ndarray:
        known = self._roster.lives.get(prompt.object_id)
        if known is None:
            self._roster.make_room(prompt.object_id)
        things = None if found is None else found.boxes_xyxy
        first = first_candidate(frame.image, prompt, self._first_refiner, things=things)
        self.tracker.add(frame.index, prompt.object_id, first.mask, afresh=True)
        if prompt.mask is None:
            self._roster.tell("refine", frame.index, f"object {prompt.object_id}", first.reason)
        life = known or Life(True)
        life.prompted, life.state, life.score, life.usual_area_px = True, "tracked", 1.0, 0.0
        life.label = prompt.label or life.label
        life.seen_s = life.confirmed_s = frame.time_s
        self._roster.enter(prompt.object_id, life)
        return first.mask

    def _keep_followed(self, propagation: Propagation, fresh: Mapping[int, np.ndarray]) -> Propagation:
        """Without the objects that were dropped in this frame, and those whose masks were decided anew."""
        kept = np.array(
            [key in self._roster.lives and key not in fresh for key in propagation.object_ids.tolist()], bool
        )
        return Propagation(propagation.object_ids[kept], propagation.probabilities[kept])

    def _compose(self, size: tuple[int, int], propagation: Propagation, decided: dict[int, np.ndarray]) -> ObjectMasks:
        """All objects' masks at full size, apart from each other; those decided in this frame come first."""
        taken = np.zeros(size, bool)
        pictures: dict[int, np.ndarray] = {}
        for object_id, mask in decided.items():
            pictures[object_id] = mask & ~taken
            taken |= mask
        for object_id, probability in zip(propagation.object_ids.tolist(), propagation.probabilities, strict=True):
            if object_id not in pictures and (probability > 0.5).any():
                pictures[object_id] = (at_full_size(probability, size) > 0.5) & ~taken
        empty = np.zeros(size, bool)
        ids = sorted(self._roster.lives)
        shown = [pictures.get(object_id, empty) for object_id in ids]
        lives = [self._roster.lives[object_id] for object_id in ids]
        return ObjectMasks(
            size,
            np.array(ids, np.int64),
            tuple(masks.encode(mask) for mask in shown),
            np.array([masks.tight_box(mask) for mask in shown], np.float32).reshape(-1, 4),
            np.array([life.score for life in lives], np.float32),
            tuple(life.state for life in lives),
            tuple(life.class_name for life in lives),
        )
