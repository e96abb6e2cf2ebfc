"""How sure a detection must be, for each thing that is made of it: the one place where that is set."""

from __future__ import annotations

from dataclasses import dataclass

from streamvos.config import Settings, setting


@dataclass(frozen=True)
class ScoreThresholds(Settings, at="scores"):
    """Class scores of the detector, from 0 to 1; it errs less above a higher one, and finds less."""

    detect: float = setting(0.4, "from which there is a detection at all", low=0, high=1)
    remember: float = setting(0.4, "from which it enters the feature memory", low=0, high=1)
    start: float = setting(
        0.5, "from which it may start an object, once it was seen twice: the mean of both", low=0, high=1
    )
    start_at_once: float = setting(0.7, "from which it starts an object at once", low=0, high=1)
    reconstruct: float = setting(0.4, "from which what can move is kept out of the static map", low=0, high=1)
    episodes: float = setting(0.5, "from which a detection without an object enters the long memory", low=0, high=1)
