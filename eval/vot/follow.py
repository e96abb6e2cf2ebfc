"""Follow the objects of a VOT request with one of our trackers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from eval.trackers import Tracker
from eval.vot.folder_protocol import Query
from eval.vot.regions import EMPTY, UNKNOWN, Mask, Region, Special, cropped, in_frame
from streamvos.errors import InputError
from streamvos.masks import VOID
from streamvos.video.images import read_image


class Follower:
    """One sequence, frame by frame; objects are numbered in the order in which they are given.

    Args:
        tracker: a fresh one, see `eval.trackers`.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._given: list[bool] = []

    def step(self, image: np.ndarray, new: Sequence[Mask] = ()) -> list[Region]:
        """Take the next frame, (H, W, 3) uint8 RGB, and the masks of objects given in it.

        Returns:
            A mask for each object given so far; that of a new object is the one given.

        Raises:
            InputError: more objects than a label map can hold.
        """
        if len(self._given) + len(new) >= VOID:
            raise InputError(f"expected fewer than {VOID} objects, got {len(self._given) + len(new)}")
        size = image.shape[:2]
        labels = np.zeros(size, np.uint8)
        for number, mask in enumerate(new, start=len(self._given) + 1):
            labels[in_frame(mask, size)] = number
        self._given += [bool(in_frame(mask, size).any()) for mask in new]
        found = self._tracker(image, labels if labels.any() else None)
        regions: list[Region] = [
            cropped(Mask(found == number)) if given else EMPTY for number, given in enumerate(self._given, start=1)
        ]
        regions[len(regions) - len(new) :] = new
        return regions


def follow(
    frames: Sequence[Path], queries: Mapping[str, Query], make_tracker: Callable[[], Tracker]
) -> dict[str, list[Region]]:
    """Run a fresh tracker over all frames.

    Args:
        frames: pictures of one video.
        queries: objects by id.
        make_tracker: see `eval.trackers`.

    Returns:
        A region for each frame, by id; special code 0 before the object is given.
    """
    follower = Follower(make_tracker())
    order = sorted(queries, key=lambda name: queries[name].frame_index)
    answers: dict[str, list[Region]] = {name: [Special(UNKNOWN)] * len(frames) for name in queries}
    for index, path in enumerate(frames):
        new = [queries[name].mask for name in order if queries[name].frame_index == index]
        for name, region in zip(order, follower.step(read_image(path), new), strict=False):
            answers[name][index] = region
    return answers
