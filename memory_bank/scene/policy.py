"""When the scene memory keeps, drops and carries: settings, limits, and pure functions of numbers.

Limits are ours, as the paper publishes none: chosen by hand on the ray-cast room of the tests and on 7-Scenes, and not
swept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamvos.config import Settings, setting
from streamvos.errors import InputError

TRANSIENT_WINDOW = 8  # frames of each moving object; longer smooths its velocity, and reacts later
TRANSIENT_POINTS = 256  # of an object in a frame; more draw its shape more finely, and fewer objects fit
PLACE_POINTS = 300  # of a key frame: nearly all that are tracked; more relocalise more surely, and fewer key frames fit
MAX_CARRY_S = 1.0  # an unseen object is carried on for so long, then forgotten: constant velocity holds no longer
MIN_SPAN_S = 0.05  # of sightings that give a velocity: two frames at 20 frames a second
DROP_CONFIDENCE = 0.15  # a point that was looked through until it is below is dropped: a certain one after three times
DOUBT = 0.5  # share of its confidence that a point loses when the camera looks through it
OTHER_MAP_WORTH = 0.5  # of a point of an earlier map beside one of this: nothing can be localised against it any more


@dataclass(frozen=True)
class SceneMemoryConfig(Settings, at="reconstruct.memory"):
    """How the bytes of `memory.scene_mib` are divided; the static map has what these leave."""

    transient_share: float = setting(
        0.15, "part for moving objects; larger remembers more of them at once", above=0, high=0.9
    )
    places_share: float = setting(
        0.1, "part for key frames to relocalise by; larger knows more viewpoints after a loss", above=0, high=0.9
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.transient_share + self.places_share >= 1:
            raise InputError(
                "settings reconstruct.memory.transient_share and places_share: expected a sum below 1, "
                f"got {self.transient_share} + {self.places_share}"
            )


def fuse_confidence(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Confidence in [0, 1] after an agreeing observation: the doubts multiply."""
    return 1.0 - (1.0 - old) * (1.0 - new)


def weaken_confidence(old: np.ndarray) -> np.ndarray:
    """Confidence in [0, 1] after the camera looked through the point."""
    return old * (1.0 - DOUBT)


def rows_to_keep(confidence: np.ndarray, map_ids: np.ndarray, current_map: int, count: int) -> np.ndarray:
    """Rows (count,) of the points worth keeping, ascending: most confident first, points of other maps for less."""
    worth = np.where(map_ids == current_map, confidence, OTHER_MAP_WORTH * confidence)
    order = np.argsort(-worth, kind="stable")
    return np.sort(order[: max(count, 0)])


def key_frame_to_drop(map_ids: np.ndarray, centres: np.ndarray, current_map: int) -> int:
    """Position of the key frame to give up: the oldest of another map, else the most crowded of this one.

    Args:
        map_ids: (K,) map of each key frame, oldest first.
        centres: (K, 3) positions of the cameras.
        current_map: the newest key frame, last, is never dropped, nor is the first of this map.
    """
    others = np.flatnonzero(map_ids != current_map)
    if len(others):
        return int(others[0])
    if len(centres) < 3:
        return 0
    gaps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    return 1 + int(np.argmin(gaps[:-1] + gaps[1:]))


def velocity_of(times_s: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Constant velocity (3,) that fits centres (T, 3) at times (T,) by least squares; zero for too short a span."""
    if len(times_s) < 2 or times_s.max() - times_s.min() < MIN_SPAN_S:
        return np.zeros(3)
    offsets = times_s - times_s.mean()
    return offsets @ (centres - centres.mean(axis=0)) / (offsets @ offsets)
