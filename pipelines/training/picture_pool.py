"""Pictures to make clips of, sorted by what they are good for: plates, cut-outs of each class, thin things."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np

from pipelines.training.datasets import Picture, Region

Piece = tuple[Picture, Region]
_Item = TypeVar("_Item")
_THIN = 0.42  # largest inscribed circle over the root of the area; a disc has 1.13, a bar of 1 to 6 has 0.41
_DRAWN_SHARE = 0.08  # of cut-outs that are drawn objects
_BY_CLASS_SHARE = 0.5  # of cut-outs whose class is drawn first, so that seldom ones are seen
_PERSON_SHARE = 0.3  # of encounters that are of people
_TRIES = 20


class PicturePool:
    """Draws pictures and pieces of them.

    Args:
        pictures: at least one of them with surroundings.
    """

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self.plates = [picture for picture in pictures if picture.has_surroundings]
        self._drawn: list[Piece] = []
        self._cut_outs: list[Piece] = []
        self._by_class: dict[str, list[Piece]] = defaultdict(list)
        self.thin: list[Piece] = []
        for picture in pictures:
            pieces = [(picture, region) for region in picture.whole]
            if not picture.has_surroundings:
                self._drawn += pieces
                continue
            self._cut_outs += pieces
            for piece in pieces:
                self._by_class[piece[1].name].append(piece)
            self.thin += [(picture, region) for region in picture.regions if _is_thin(region.mask)]
        self._classes = sorted(self._by_class)
        self._crowds = [name for name in self._classes if len(self._by_class[name]) > 1]

    def cut_out(self, rng: np.random.Generator) -> Piece:
        """Any thing."""
        kind = rng.random()
        if self._drawn and kind < _DRAWN_SHARE:
            return pick(rng, self._drawn)
        if kind < _DRAWN_SHARE + _BY_CLASS_SHARE:
            return pick(rng, self._by_class[pick(rng, self._classes)])
        return pick(rng, self._cut_outs)

    def of_one_class(self, rng: np.random.Generator, count: int) -> list[Piece]:
        """Things of one class, some of them the same one."""
        person = "person" in self._crowds and rng.random() < _PERSON_SHARE
        name = "person" if person else pick(rng, self._crowds or self._classes)
        found = [pick(rng, self._by_class[name]) for _ in range(count)]
        if rng.random() < 0.2:
            found[-1] = found[0]
        return found

    def plate(self, rng: np.random.Generator, name: str) -> Picture:
        """A picture to put things before: without another of their class where such a one is found soon."""
        return plate(rng, self.plates, name)


def plate(rng: np.random.Generator, pictures: Sequence[Picture], name: str) -> Picture:
    """A picture without a thing of a class, or any where none is found soon."""
    for _ in range(_TRIES):
        picture = pick(rng, pictures)
        if picture.lacks(name):
            break
    return picture


def pick(rng: np.random.Generator, items: Sequence[_Item]) -> _Item:
    return items[int(rng.integers(len(items)))]


def _is_thin(mask: np.ndarray) -> bool:
    rows, cols = np.nonzero(mask)
    box = mask[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
    widest = 2.0 * float(cv2.distanceTransform(np.pad(box, 1).astype(np.uint8), cv2.DIST_L2, 3).max())
    return widest < _THIN * np.sqrt(len(rows))
