"""Questions of the composed benchmark before it is known whether they have one answer, and what they are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from eval.compose.solve import Solution
from eval.compose.visibility import Facts
from eval.compose.wording import Who, spoken


@dataclass(frozen=True)
class Draft:
    """A question before it is known whether it has one answer.

    Args:
        kind: of the question.
        phrasings: with the names of `words` in braces; one is chosen.
        words: what stands for the names.
        solve: gives the answer under some facts, or None where it is not certain.
        as_of_s: when the question is asked, None for the end of the video.
    """

    kind: str
    phrasings: tuple[str, ...]
    words: Mapping[str, str]
    solve: Callable[[Facts], Solution | None]
    as_of_s: float | None = None


@dataclass(frozen=True)
class Setting:
    """What drafts are made from.

    Args:
        by_class, by_colour: whom questions can be about.
        length_s: time of the last frame.
        tolerance_s: how exactly times must be told; what is closer together than this is not compared.
        rng: chooses times.
        instants_s: times that questions may name.
    """

    by_class: list[Who]
    by_colour: list[Who]
    length_s: float
    tolerance_s: float
    rng: np.random.Generator
    instants_s: tuple[float, ...]

    @property
    def ones(self) -> list[Who]:
        """Names that mean one object: its class where it is the only one, otherwise with its colour."""
        alone = [who for who in self.by_class if who.is_one]
        return alone + [who for who in self.by_colour if who.class_name not in {one.class_name for one in alone}]

    @property
    def pairs(self) -> list[tuple[Who, Who]]:
        """Two names for different objects, each of one object."""
        return _apart(self.ones)

    @property
    def class_pairs(self) -> list[tuple[Who, Who]]:
        """Two names for different objects, some of which mean any of several."""
        return _apart([*self.ones, *(who for who in self.by_class if not who.is_one)])

    def told(self, time_s: float, until_s: float | None = None) -> dict[str, str]:
        """For phrasings: {time}, and {until} where two times are named."""
        times = (time_s,) if until_s is None else (time_s, until_s)
        return dict(zip(("time", "until"), spoken(times, self.rng), strict=False))


def _apart(names: list[Who]) -> list[tuple[Who, Who]]:
    return [(one, other) for one, other in permutations(names, 2) if not set(one.ids) & set(other.ids)]
