"""How questions of the composed benchmark name things and times: as people would, and so that only one thing is meant.

"The dog" is said of the only dog, "the red car" of the only car of that colour, "a dog" where any of several will do.
Things that stand about in rooms and streets (chairs, cups, traffic lights) are not asked about: the background may
hold some of which the truth knows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.datasets.composed import ObjectInfo, SequenceTruth
from memory_bank.episodes.colours import NAMES as COLOURS
from streamvos.answers import plural
from streamvos.models.coco import GROUP_OF

_ASKED_GROUPS = frozenset({"person", "vehicle", "animal", "accessory", "sports"})
_UNCOUNTABLE = frozenset({"skis"})
# colours that one person calls so and the next one otherwise, or that light turns into each other
_NEIGHBOURS = ("black", "grey", "white"), ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "red")
_ALIKE = {frozenset(pair) for row in _NEIGHBOURS for pair in zip(row, row[1:], strict=False)} | {
    frozenset(("brown", other)) for other in ("black", "grey", "red", "orange", "yellow", "pink")
}
# known to every COCO detector, and never by chance in a room or a street of the backgrounds
NEVER_THERE = (
    *("elephant", "giraffe", "zebra", "bear", "airplane", "boat", "train", "sheep", "cow", "horse"),
    *("snowboard", "surfboard", "kite", "pizza"),
)
# no COCO class, and no other word for one
UNDETECTABLE = (
    *("submarine", "guitar", "helicopter", "penguin", "lighthouse", "tractor", "drum", "robot"),
    *("wheelbarrow", "kangaroo", "spaceship", "violin", "squirrel", "snowman", "trumpet", "octopus"),
)


@dataclass(frozen=True)
class Who:
    """What a question calls some objects.

    Args:
        name: "dog", "red car", "person in red".
        class_name: of the objects.
        ids: whom it means.
    """

    name: str
    class_name: str
    ids: tuple[int, ...]

    @property
    def is_one(self) -> bool:
        return len(self.ids) == 1

    @property
    def words(self) -> dict[str, str]:
        """For phrasings: {the} the one, or any of several; {a}; {plural}."""
        a = with_article(self.name)
        return {"the": f"the {self.name}" if self.is_one else a, "a": a, "plural": plural_of(self.name)}


def cast_of(truth: SequenceTruth) -> tuple[list[Who], list[Who]]:
    """Whom questions can be about: by class, and by class and colour where that means exactly one object."""
    asked = [info for info in truth.objects if _is_asked(info.class_name)]
    kinds = sorted({info.class_name for info in asked})
    by_class = [Who(kind, kind, tuple(sorted(i.id for i in asked if i.class_name == kind))) for kind in kinds]
    by_colour = [
        Who(_coloured(info), info.class_name, (info.id,))
        for info in sorted(asked, key=lambda info: info.id)
        if info.colour in COLOURS
        and not any(
            _alike(info.colour, other.colour)
            for other in asked
            if other.id != info.id and other.class_name == info.class_name
        )
    ]
    return by_class, by_colour


def with_article(name: str) -> str:
    """A name with "a" or "an"."""
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def plural_of(name: str) -> str:
    """Several of a kind, without a number: "dogs", "red cars"."""
    return plural(name, 2).removeprefix("2 ")


def spoken(times_s: Sequence[float], rng: np.random.Generator) -> list[str]:
    """Times as people write them, all in one way: 0:07, 7 seconds, 1.5 seconds."""
    by_clock = rng.random() < 0.5 or max(times_s) >= 60
    if any(time_s != int(time_s) for time_s in times_s):
        return [f"{time_s:.1f} seconds" for time_s in times_s]
    if by_clock:
        return [f"{int(time_s) // 60}:{int(time_s) % 60:02d}" for time_s in times_s]
    return [f"{int(time_s)} second{'s' if time_s != 1 else ''}" for time_s in times_s]


def _alike(colour: str, other: str) -> bool:
    return colour == other or other not in COLOURS or frozenset((colour, other)) in _ALIKE


def _is_asked(name: str) -> bool:
    return GROUP_OF.get(name) in _ASKED_GROUPS and name not in _UNCOUNTABLE


def _coloured(info: ObjectInfo) -> str:
    return f"person in {info.colour}" if info.class_name == "person" else f"{info.colour} {info.class_name}"
