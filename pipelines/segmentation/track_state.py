"""When an object counts as tracked, occluded or lost. Numbers in, decisions out; no pixels here."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from pipelines.segmentation.box_motion import BoxMotion
from pipelines.segmentation.class_belief import ClassBelief
from pipelines.segmentation.identity_policy import Verdict
from streamvos.records import ObjectState

_HIDDEN_SHARE = 0.2  # of a detection's side, from which what the mask lacks of it is hidden; detectors err by less
_ALIKE = 1.25  # ratio of two boxes' sides up to which they may be of one thing from one moment to the next
_COASTS_S = 1.0  # for so long motion is believed against a mask of another size


@dataclass(frozen=True)
class TrackRules:
    """What it takes to be seen, to be given up and to be believed again."""

    min_area_px: int = 12  # at the working size; smaller masks are noise
    min_area_share: float = 0.08  # of the usual area; larger calls half-hidden objects occluded
    min_confidence: float = 0.6  # mean probability inside the mask; larger calls doubtful objects occluded
    learn_confidence: float = 0.7  # larger lets the appearance follow only surer masks
    learn_area_ratio: float = 3.0  # larger lets it follow stronger changes of area
    return_confidence: float = 0.75  # what a lost object must show to be believed without the detector
    return_area_share: float = 0.3  # of the usual area, likewise
    # Found by the detector, then not confirmed by it for `patience` times its longest gap so far, at least and at
    # most for so long: lost. Larger bears with a weak detector and keeps masks that have drifted.
    patience: float = 2.5
    min_unconfirmed_s: float = 1.0
    max_unconfirmed_s: float = 2.5
    # A found mask that has shrunk to less than this share of what the detector last confirmed, so long ago or longer,
    # is a remainder that has stuck to something else. Larger calls partly hidden things occluded.
    min_confirmed_share: float = 0.2
    shrunk_after_s: float = 0.3


@dataclass
class Track:
    """One object as the segment stage sees it.

    Args:
        prompted: the user gave it; it is never given up for good and needs no detector.
        label: the user's name for it.
    """

    prompted: bool
    label: str = ""
    state: ObjectState = "tracked"
    score: float = 1.0
    usual_area_px: float = 0.0
    seen_s: float = 0.0
    confirmed_s: float = 0.0
    confirmed_area_px: float = 0.0  # at the working size, when the detector last confirmed it
    longest_gap_s: float = 0.0  # between two confirmations by the detector
    kind: ClassBelief = field(default_factory=ClassBelief)
    motion: BoxMotion | None = field(default=None, compare=False)  # of the whole box; None until the object was placed
    fitted_s: float = 0.0  # when a detection or a mask last fitted that motion
    # (4,): how far the whole box reaches beyond that of the mask, in shares of its sides, as the detector last saw both
    beyond: np.ndarray = field(default_factory=lambda: np.zeros(4), compare=False)

    @property
    def class_name(self) -> str:
        """The user's label, else the class that is believed, "" where there is none."""
        return self.label or self.kind.name

    @property
    def class_score(self) -> float:
        """Of the latest sighting of the class that is believed; NaN where there is none."""
        return float("nan") if self.kind.score is None or not self.kind.is_sure else self.kind.score

    @property
    def leading_class(self) -> str:
        """What it most likely is, believed or not: what its detections are expected to say."""
        return self.kind.leading or self.label

    def confirm(self, class_name: str, score: float, time_s: float, area_px: float) -> None:
        """The detector sees the object as a class, with a mask of `area_px` at the working size."""
        if self.kind.leading and self.state == "tracked":
            self.longest_gap_s = max(self.longest_gap_s, time_s - self.confirmed_s)
        self.kind.see(class_name, score)
        self.confirmed_s, self.confirmed_area_px = time_s, area_px

    def place(self, box_xyxy: np.ndarray, visible_xyxy: np.ndarray, time_s: float) -> None:
        """The detector sees a (4,) box where the mask's is `visible_xyxy`.

        Masks draw edges more exactly than detectors; a detection only tells where more of the object must be hidden.
        """
        reach = (box_xyxy - visible_xyxy) * np.array([-1, -1, 1, 1]) / _sides(box_xyxy)
        self.beyond = np.where(reach > _HIDDEN_SHARE, (box_xyxy - visible_xyxy) / _sides(visible_xyxy), 0.0)
        whole = self.carried(visible_xyxy)
        if self.motion is None:
            self.motion = BoxMotion.of(whole, time_s)
        self.motion.update(whole, time_s, detected=True)
        self.fitted_s = time_s

    def carried(self, visible_xyxy: np.ndarray) -> np.ndarray:
        """(4,) float32: the whole box, by the mask's."""
        return (visible_xyxy + self.beyond * _sides(visible_xyxy)).astype(np.float32)

    def whole_box(self, visible_xyxy: np.ndarray | None, time_s: float) -> np.ndarray:
        """(4,) float32: where all of the object is at a time, by its mask's (4,) box, None where it is not seen.

        A mask moves the box where the detector has not placed it at that time. One that shrinks or grows at once is
        not believed for a while: things hide behind others more often than they change. Zeros where the object is lost.
        """
        if self.state == "lost":
            return np.zeros(4, np.float32)
        if visible_xyxy is not None and (self.motion is None or self.fitted_s < time_s):
            box = self.carried(visible_xyxy)
            fits = self.motion is not None and _are_alike(box, self.motion.box(time_s))
            if self.motion is None or (not fits and time_s - self.fitted_s > _COASTS_S):
                self.motion, fits = BoxMotion.of(box, time_s), True
            if fits:
                self.motion.update(box, time_s, detected=False)
                self.fitted_s = time_s
        return np.zeros(4, np.float32) if self.motion is None else self.motion.box(time_s)

    def state_dict(self) -> dict[str, Any]:
        """Plain values and arrays."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        motion = None if self.motion is None else self.motion.state_dict()
        return plain | {"kind": self.kind.state_dict(), "motion": motion}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Track:
        """The opposite of `state_dict`."""
        motion = None if state["motion"] is None else BoxMotion(**state["motion"])
        return cls(**state | {"kind": ClassBelief(**state["kind"]), "motion": motion})


@dataclass(frozen=True)
class Judgement:
    """What a frame says of an object: is it visible, and may its appearance be learned; why not."""

    visible: bool
    confident: bool
    reason: str


def judge(
    track: Track, area_px: int, confidence: float, time_s: float, rules: TrackRules, verdict: Verdict | None = None
) -> Judgement:
    """Decide whether the tracker's mask is the object.

    Args:
        area_px: of the mask at the working size.
        confidence: mean probability inside it.
        verdict: of the appearance, None where it has none.
    """
    usual = max(1.0, track.usual_area_px)
    ratio = area_px / usual
    if verdict is not None and not verdict.visible:
        return Judgement(False, False, verdict.reason)
    if verdict is not None and verdict.belief == "returned" and area_px >= rules.min_area_px:
        return Judgement(True, False, verdict.reason)
    if area_px < rules.min_area_px or ratio < rules.min_area_share:
        return Judgement(False, False, f"only {area_px} pixels of it show, usually {usual:.0f}")
    if confidence < rules.min_confidence:
        return Judgement(
            False, False, f"the tracker is not sure: {confidence:.2f}, at least {rules.min_confidence:.2f} is asked"
        )
    if track.state == "lost":
        if not track.prompted:
            return Judgement(False, False, "it waits until the detector sees it again")
        # where nothing was seen since the prompt, there is no usual area to hold against it
        fits = not track.usual_area_px or rules.return_area_share < ratio < 1 / rules.return_area_share
        if confidence < rules.return_confidence or not fits:
            return Judgement(
                False, False, f"what may be it does not convince: {confidence:.2f} sure, {ratio:.2f} of its usual area"
            )
    if is_unconfirmed(track, time_s, rules):
        return Judgement(False, False, f"the detector has not confirmed it for {time_s - track.confirmed_s:.1f} s")
    since_s, share = time_s - track.confirmed_s, area_px / max(1.0, track.confirmed_area_px)
    if not track.prompted and since_s > rules.shrunk_after_s and share < rules.min_confirmed_share:
        return Judgement(
            False, False, f"{share:.0%} is left of the area that the detector confirmed {since_s:.1f} s ago"
        )
    in_range = 1 / rules.learn_area_ratio < ratio < rules.learn_area_ratio
    learnable = verdict is None or verdict.learnable
    return Judgement(True, learnable and confidence >= rules.learn_confidence and in_range, "")


def is_unconfirmed(track: Track, time_s: float, rules: TrackRules) -> bool:
    """Whether the detector, which found the object, has been silent for too long."""
    limit = min(rules.max_unconfirmed_s, max(rules.min_unconfirmed_s, rules.patience * track.longest_gap_s))
    return not track.prompted and time_s - track.confirmed_s > limit


def update(
    track: Track,
    judgement: Judgement,
    area_px: int,
    confidence: float,
    time_s: float,
    lost_after_s: float,
    rules: TrackRules,
) -> None:
    """Carry the judgement into the object's track; occluded for longer than `lost_after_s` is lost."""
    track.score = confidence if judgement.visible else 0.0
    if judgement.visible:
        track.state, track.seen_s = "tracked", time_s
        track.usual_area_px = 0.85 * track.usual_area_px + 0.15 * area_px if track.usual_area_px else float(area_px)
    elif track.state != "lost":
        given_up = is_unconfirmed(track, time_s, rules) or time_s - track.seen_s > lost_after_s
        track.state = "lost" if given_up else "occluded"


def _sides(box_xyxy: np.ndarray) -> np.ndarray:
    """(4,) width, height, width, height of a box, at least a pixel."""
    return np.maximum(1.0, np.tile(box_xyxy[2:] - box_xyxy[:2], 2)).astype(np.float64)


def _are_alike(one_xyxy: np.ndarray, other_xyxy: np.ndarray) -> bool:
    """Whether two (4,) boxes have about the same width and height."""
    ratio = _sides(one_xyxy) / _sides(other_xyxy)
    return bool(ratio.max() <= _ALIKE and ratio.min() >= 1 / _ALIKE)
