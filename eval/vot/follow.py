"""Follow the objects of a VOT request with one of our trackers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from eval.datasets.vot_regions import EMPTY, UNKNOWN, Mask, PackedRegions, Region, cropped, format_region, in_frame
from eval.running.trackers import Tracker
from eval.vot.folder_protocol import Query
from streamvos.errors import InputError
from streamvos.masks import VOID, ids_in
from streamvos.video.images import read_image


class Follower:
    """One sequence, frame by frame.

    The toolkit gives objects in the order in which a disk lists their files. Trackers may decide a tie by the ids of
    objects, so objects of one frame get theirs in the order of their masks: the same input, the same output.

    Args:
        tracker: a fresh one, see `eval.running.trackers`.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._ids: list[int] = []  # of the objects, in the order in which they were given
        self._followed: set[int] = set()

    def step(self, image: np.ndarray, new: Sequence[Mask] = ()) -> list[Region]:
        """Take the next frame, (H, W, 3) uint8 RGB, and the masks of objects given in it.

        Returns:
            A mask for each object given so far, in that order; that of a new object is the one given.

        Raises:
            InputError: more objects than a label map can hold.
        """
        known = len(self._ids)
        if known + len(new) >= VOID:
            raise InputError(f"expected fewer than {VOID} objects, got {known + len(new)}")
        size = image.shape[:2]
        labels = np.zeros(size, np.uint8)
        self._ids += [0] * len(new)
        ranked = sorted(range(len(new)), key=lambda place: format_region(new[place]))
        for object_id, place in enumerate(ranked, start=known + 1):
            self._ids[known + place] = object_id
            labels[in_frame(new[place], size)] = object_id
        self._followed |= set(ids_in(labels))
        found = self._tracker(image, labels if labels.any() else None)
        old = [cropped(Mask(found == one)) if one in self._followed else EMPTY for one in self._ids[:known]]
        return [*old, *new]


def follow(
    frames: Sequence[Path], queries: Mapping[str, Query], make_tracker: Callable[[], Tracker]
) -> dict[str, PackedRegions]:
    """Run a fresh tracker over all frames.

    Args:
        frames: pictures of one video.
        queries: objects by id.
        make_tracker: see `eval.running.trackers`.

    Returns:
        A region for each frame, by id; special code 0 before the object is given.
    """
    follower = Follower(make_tracker())
    order = sorted(queries, key=lambda name: queries[name].frame_index)
    answers = {name: [str(UNKNOWN)] * len(frames) for name in queries}
    for index, path in enumerate(frames):
        new = [queries[name].mask for name in order if queries[name].frame_index == index]
        for name, region in zip(order, follower.step(read_image(path), new), strict=False):
            answers[name][index] = format_region(region)
    return {name: PackedRegions(lines) for name, lines in answers.items()}
