"""The user's words about objects: read from files and options, and handed to the stream at their frame."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np

from streamvos.errors import InputError
from streamvos.records import Naming, ObjectMasks, Prompt, Removal

MAX_OBJECT_ID = 2**53 - 1  # above, readers of JSON whose numbers are floats mistake one id for another


def check_prompts(prompts: Iterable[Prompt], size: tuple[int, int], num_frames: int | None = None) -> None:
    """Raise `InputError` where a prompt does not fit frames of `size` (H, W), or speaks of one after the last."""
    height, width = size
    for prompt in prompts:
        who = f"prompt for object {prompt.object_id} at frame {prompt.frame_index}"
        if prompt.object_id > MAX_OBJECT_ID:
            raise InputError(f"{who}: expected an id of at most {MAX_OBJECT_ID} (2^53 - 1)")
        if _looks_normalised(prompt, size):
            raise InputError(f"{who}: coordinates look normalised; expected pixels of the frame of {width}x{height}")
        if prompt.mask is not None and prompt.mask.shape != size:
            have = f"{prompt.mask.shape[1]}x{prompt.mask.shape[0]}"
            raise InputError(f"{who}: expected a mask of the frame's size, {width}x{height}; got {have}")
        if prompt.mask is not None and not prompt.mask.any():
            raise InputError(f"{who}: the mask is empty; expected at least one pixel")
        if prompt.box is not None:
            x1, y1, x2, y2 = prompt.box.tolist()
            if min(x2, width) - max(x1, 0) < 1 or min(y2, height) - max(y1, 0) < 1:
                raise InputError(f"{who}: the box {prompt.box.tolist()} lies outside the frame of {width}x{height}")
        if prompt.points is not None:
            inside = (prompt.points >= 0).all(axis=1) & (prompt.points < (width, height)).all(axis=1)
            if not inside.all():
                raise InputError(
                    f"{who}: the point {prompt.points[~inside][0].tolist()} lies outside the frame of {width}x{height}"
                )
        if num_frames is not None and prompt.frame_index >= num_frames:
            raise InputError(f"{who}: the source has {num_frames} frames, from 0 to {num_frames - 1}")


def _looks_normalised(prompt: Prompt, size: tuple[int, int]) -> bool:
    """Whether box and points lie between 0 and 1, as some tools give them, in a frame that is larger."""
    given = [array.ravel() for array in (prompt.box, prompt.points) if array is not None]
    if not given or min(size) < 2:
        return False
    values = np.concatenate(given)
    if values.min() < 0 or values.max() > 1:
        return False
    return prompt.box is not None or bool((values % 1 != 0).any())  # a click on a corner pixel is whole


class Schedule:
    """Prompts, removals and names on their way to their frame. May be used from several threads.

    Attributes:
        next_index: index of the frame that is sent next; nothing takes effect before it.
    """

    def __init__(self) -> None:
        self.next_index = 0
        self._prompts: dict[int, list[Prompt]] = {}
        self._removals: dict[int, list[Removal]] = {}
        self._namings: dict[int, list[Naming]] = {}
        self._prompted: set[int] = set()
        self._begun: set[int] = set()  # objects whose first prompt was sent
        self._followed: frozenset[int] = frozenset()
        self._lock = threading.Lock()

    @property
    def is_empty(self) -> bool:
        """True where the user has pointed at nothing that is still followed, or will be."""
        return not self._prompted

    @property
    def waiting(self) -> list[Prompt]:
        """Prompts whose frame has not come."""
        with self._lock:
            return [prompt for _, prompts in sorted(self._prompts.items()) for prompt in prompts]

    @property
    def waiting_removals(self) -> list[Removal]:
        """Removals whose frame has not come."""
        with self._lock:
            return [removal for _, removals in sorted(self._removals.items()) for removal in removals]

    def add(self, prompt: Prompt) -> None:
        """Let a prompt take effect at its frame."""
        with self._lock:
            self._expect_future(prompt.frame_index, f"prompt for object {prompt.object_id}")
            self._prompts.setdefault(prompt.frame_index, []).append(prompt)
            self._prompted.add(prompt.object_id)

    def remove(self, object_id: int, frame_index: int | None = None) -> None:
        """Let a removal take effect at a frame, the next one by default.

        An object that is first pointed at in that very frame is not followed at all.
        """
        with self._lock:
            index = self.next_index if frame_index is None else frame_index
            self._expect_future(index, f"removal of object {object_id}")
            self._expect_followed(object_id, "removed")
            if object_id not in self._begun | self._followed:
                first = min(at for at, prompts in self._prompts.items() if object_id in _ids(prompts))
                if first > index:
                    raise InputError(
                        f"removal of object {object_id} at frame {index}: it is first pointed at in frame {first}"
                    )
                if first == index:
                    self._take_back(object_id, index)
                    return
            self._removals.setdefault(index, []).append(Removal(index, object_id))
            if not any(prompt.object_id == object_id for waiting in self._prompts.values() for prompt in waiting):
                self._prompted.discard(object_id)

    def name(self, object_id: int, label: str) -> None:
        """Let a name take effect at the next frame."""
        if not label.strip():
            raise InputError(f"object {object_id}: expected a name, got an empty text")
        with self._lock:
            self._expect_followed(object_id, "named")
            self._namings.setdefault(self.next_index, []).append(Naming(self.next_index, object_id, label))

    def take(self, frame_index: int) -> tuple[tuple[Prompt, ...], tuple[Removal, ...], tuple[Naming, ...]]:
        """What takes effect at this frame, which is the next one."""
        with self._lock:
            self.next_index = frame_index + 1
            self._begun |= _ids(self._prompts.get(frame_index, ()))
            waiting = self._prompts, self._removals, self._namings
            return tuple(tuple(words.pop(frame_index, ())) for words in waiting)

    def restart(self, next_index: int) -> None:
        """Go on at a frame: what took effect before it is in the stages' snapshot."""
        with self._lock:
            self.next_index = next_index
            for index, prompts in self._prompts.items():
                if index < next_index:
                    self._begun |= _ids(prompts)
            for waiting in (self._prompts, self._removals, self._namings):
                for index in [index for index in waiting if index < next_index]:
                    del waiting[index]

    def note(self, masks: ObjectMasks | None) -> None:
        """Learn from a result who is followed now."""
        if masks is not None:
            self._followed = frozenset(masks.object_ids.tolist())

    def _take_back(self, object_id: int, index: int) -> None:
        kept = [prompt for prompt in self._prompts.pop(index) if prompt.object_id != object_id]
        if kept:
            self._prompts[index] = kept
        for at, namings in self._namings.items():
            self._namings[at] = [naming for naming in namings if naming.object_id != object_id]
        if not any(object_id in _ids(prompts) for prompts in self._prompts.values()):
            self._prompted.discard(object_id)

    def _expect_followed(self, object_id: int, what: str) -> None:
        known = self._prompted | self._followed
        if object_id not in known:
            have = ", ".join(map(str, sorted(known))) or "none"
            raise InputError(f"object {object_id} is not followed and cannot be {what} (followed: {have})")

    def _expect_future(self, frame_index: int, what: str) -> None:
        if frame_index < self.next_index:
            raise InputError(f"{what} at frame {frame_index}: that frame is past, the next one is {self.next_index}")


def _ids(prompts: Iterable[Prompt]) -> set[int]:
    return {prompt.object_id for prompt in prompts}
