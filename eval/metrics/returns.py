"""Do ids stay with their objects, and do objects that were away get their own id back?

Ours; no public toolkit counts this. Frames are compared as they come, through one table of overlaps each.

- Identity: in each frame after the one that gives it, an object that is there belongs to the predicted id that overlaps
  it best (by IoU). A frame where that is another object's id is a wrong-id frame; a switch is a change of that id from
  one frame where there is one to the next such frame. Where nothing overlaps, the object is missed: no switch.
- Returns: an object that was there, then away for at least `absence` frames, and is back: it covers at least
  `back_share` of what it covered when it was given. What shows less (a few pixels between the slats of a chair, the tip
  at the border of the picture) neither ends an absence nor adds to it. A return is judged on its first `within` frames
  there, from then on. The same is counted once more without that allowance, from the first visible pixels on
  (`returns_any`). `found`: in one of them its own mask overlaps it by IoU > 0.5. Otherwise `wrong`: in one of them its
  mask is somewhere else, with less than a tenth of it on the object (`on` says whether most of it lay on another object
  or on the background); otherwise `missed`. A return with fewer frames is not judged.
- Imagined: frames where an object is away and still gets a mask (as large as what counts as being there).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from streamvos.errors import InputError

FOUND_IOU = 0.5
ELSEWHERE_SHARE = 0.1
_NUM_IDS = 256


@dataclass(frozen=True)
class ReturnRule:
    """What counts as a return.

    Args:
        absence: frames away before it.
        within: frames there in which the object must be found.
        visible_px: an object is there where it covers at least so many pixels.
        back_share: see the module.
    """

    absence: int = 200
    within: int = 15
    visible_px: int = 1
    back_share: float = 0.5

    def __post_init__(self) -> None:
        for name in ("absence", "within", "visible_px"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if not 0 <= self.back_share <= 1:
            raise InputError(f"back_share: expected 0 to 1, got {self.back_share}")


@dataclass(frozen=True)
class Return:
    """One return of an object.

    Args:
        frame: the first frame there again.
        absent_frames: frames away before.
        outcome: see the module.
        after: frames there until it was found, 0 for at once; None where it was not.
        on: what a wrong mask lay on; None where it was not wrong.
    """

    frame: int
    absent_frames: int
    outcome: Literal["found", "wrong", "missed"]
    after: int | None = None
    on: Literal["object", "background"] | None = None


@dataclass
class ObjectIdentity:
    """What was counted of one object, on the frames after the one that gives it."""

    visible_frames: int = 0
    wrong_id_frames: int = 0
    switches: int = 0
    absent_frames: int = 0
    imagined_frames: int = 0
    returns: list[Return] = field(default_factory=list)
    returns_any: list[Return] = field(default_factory=list)


class IdentityCounter:
    """Counts frame by frame.

    Args:
        starts: objects, each with the frame in which it is given.
        rule: see `ReturnRule`.
    """

    def __init__(self, starts: Mapping[int, int], rule: ReturnRule) -> None:
        self.objects = {object_id: ObjectIdentity() for object_id in starts}
        self._starts, self._rule = dict(starts), rule
        self._index = 0
        self._last_id = {object_id: object_id for object_id in starts}
        self._given_px = dict.fromkeys(starts, 0)  # what it covered when it was given
        self._watches = {object_id: _ReturnWatch(rule) for object_id in starts}
        self._watches_any = {object_id: _ReturnWatch(rule) for object_id in starts}

    def watch(
        self, predictions: Iterable[np.ndarray], truths: Iterable[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pass pairs on, and count them."""
        for prediction, truth in zip(predictions, truths, strict=True):
            self.add(prediction, truth)
            yield prediction, truth

    def add(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """Count the next frame: (H, W) ids below 256, 0 the background; raises `InputError` for unequal sizes."""
        index, self._index = self._index, self._index + 1
        if prediction.shape != truth.shape:
            raise InputError(f"frame {index}: expected a prediction of {truth.shape} pixels, got {prediction.shape}")
        pairs = truth.astype(np.int64) * _NUM_IDS + prediction
        overlaps = np.bincount(pairs.reshape(-1), minlength=_NUM_IDS**2).reshape(_NUM_IDS, _NUM_IDS)  # truth, predicted
        for object_id, start in self._starts.items():
            if index == start:
                self._given_px[object_id] = int(overlaps[object_id].sum())
            elif index > start:
                self._count(object_id, index, overlaps)

    def _count(self, object_id: int, index: int, overlaps: np.ndarray) -> None:
        counted = self.objects[object_id]
        own, there = int(overlaps[:, object_id].sum()), int(overlaps[object_id].sum())
        if there < self._rule.visible_px:
            counted.absent_frames += 1
            counted.imagined_frames += own >= self._rule.visible_px
            self._watches[object_id].away()
            self._watches_any[object_id].away()
            return
        counted.visible_frames += 1
        self._judge_id(object_id, overlaps)
        is_back = there >= self._rule.back_share * self._given_px[object_id]
        counted.returns += self._watches[object_id].there(object_id, index, overlaps, is_back)
        counted.returns_any += self._watches_any[object_id].there(object_id, index, overlaps, True)

    def _judge_id(self, object_id: int, overlaps: np.ndarray) -> None:
        shared = overlaps[object_id].copy()
        shared[0] = 0
        if not shared.any():
            return
        union = overlaps[object_id].sum() + overlaps.sum(axis=0) - shared
        best = int(np.argmax(shared / np.maximum(union, 1)))
        self.objects[object_id].wrong_id_frames += best != object_id
        self.objects[object_id].switches += best != self._last_id[object_id]
        self._last_id[object_id] = best


class _ReturnWatch:
    """The absences and returns of one object."""

    def __init__(self, rule: ReturnRule) -> None:
        self._rule = rule
        self._absent = 0  # frames away up to now
        self._trial: _Trial | None = None  # the return being judged

    def away(self) -> None:
        self._absent += 1

    def there(self, object_id: int, index: int, overlaps: np.ndarray, is_back: bool) -> list[Return]:
        """Take a frame in which the object is visible, perhaps back: the return that is decided with it, if any."""
        if is_back:
            if self._absent >= self._rule.absence:
                self._trial = _Trial(index, self._absent)  # replaces one that was cut short
            self._absent = 0
        if self._trial is None:
            return []
        self._trial.add(object_id, overlaps)
        if self._trial.num_frames < self._rule.within:
            return []
        decided, self._trial = self._trial.verdict(), None
        return [decided]


class _Trial:
    """A return while it is judged."""

    def __init__(self, frame: int, absent_frames: int) -> None:
        self.num_frames = 0
        self._frame, self._absent_frames = frame, absent_frames
        self._after: int | None = None
        self._on: Literal["object", "background"] | None = None

    def add(self, object_id: int, overlaps: np.ndarray) -> None:
        own, shared = int(overlaps[:, object_id].sum()), int(overlaps[object_id, object_id])
        union = int(overlaps[object_id].sum()) + own - shared
        if self._after is None and shared > FOUND_IOU * union:
            self._after = self.num_frames
        if self._on is None and own and shared < ELSEWHERE_SHARE * own:
            on_others = own - shared - int(overlaps[0, object_id])
            self._on = "object" if on_others > (own - shared) / 2 else "background"
        self.num_frames += 1

    def verdict(self) -> Return:
        if self._after is not None:
            return Return(self._frame, self._absent_frames, "found", self._after)
        return Return(self._frame, self._absent_frames, "missed" if self._on is None else "wrong", on=self._on)
