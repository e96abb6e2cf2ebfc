"""The segment stage: HQ-SMem (Kazemi et al., 2025), any base tracker with three parts above it.

A base tracker carries the masks; `lives` decides who is tracked, occluded or lost; the detector's finds confirm
objects, start new ones and bring lost ones back (`discovery`); a refiner makes first masks of boxes and clicks and,
where one is chosen, refines tracked masks (`refinement`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from memory_bank.budgets import MemoryBudgets
from memory_bank.protocol import MemoryStats
from pipelines.refiners.config import RefineConfig
from pipelines.refiners.first_mask import first_candidate
from pipelines.refiners.protocol import RefinerSetup
from pipelines.refiners.registry import first_mask_names, make_refiner, refiner_kinds, refiner_names
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
from pipelines.trackers.protocol import Propagation
from pipelines.trackers.registry import TRACKERS, make_tracker, tracker_settings
from streamvos import masks
from streamvos.config import Settings, chosen, setting, table
from streamvos.device import Precision
from streamvos.errors import InputError
from streamvos.records import Detections, Frame, ObjectMasks, Prompt, StepResult

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
    min_component_share: float = setting(0.05, "of the largest; smaller islands of a mask are dropped", low=0, high=1)
    life: LifeConfig = field(default_factory=LifeConfig)
    association: AssociationConfig = field(default_factory=AssociationConfig)
    refine: RefineConfig = table(RefineConfig)
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)


class SegmentStage:
    """Fills in `masks`, and the `object_ids` of `detections`.

    Args:
        config: see `SegmentConfig`.
        size: working short side in pixels.
        device: where networks run.
        seed: of the refiner's random choices.
        budgets: of the memories; None: the defaults.
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
        budgets: MemoryBudgets | None = None,
        precision: Precision = "auto",
    ) -> None:
        self.config, self._device = config, device
        self.tracker = make_tracker(config.base, config.tracker, size, device, budgets, precision)
        # Often the same, which needs its network once; what makes first masks has no settings.
        names = {config.first_masks: None, config.refiner: config.refiner_settings}
        setup = RefinerSetup(device, precision, seed)
        made = {name: make_refiner(name, settings, setup) for name, settings in names.items()}
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
        propagation, refined = self._refinement.step(frame, propagation, confident)
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
        instances = None if found is None else found.boxes_xyxy
        first = first_candidate(frame.image, prompt, self._first_refiner, instances=instances)
        self.tracker.add(frame.index, prompt.object_id, first.mask, replace=True)
        if prompt.mask is None:
            numbers = {} if first.predicted_iou is None else {"predicted_iou": first.predicted_iou}
            self._roster.tell("refine", frame.index, f"object {prompt.object_id}", first.reason, numbers)
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
