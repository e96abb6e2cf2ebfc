"""Settings of the presets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from streamvos.errors import unknown_name

FPS = Fraction(30)


@dataclass(frozen=True)
class Preset:
    """One kind of sequence."""

    name: str
    num_frames: int  # of a sequence where --frames does not say
    min_objects: int  # fewest objects of a sequence, twins included
    max_objects: int  # most
    extent: tuple[float, float]  # usual longest side of an object, as a share of the picture's height
    twins: int  # objects that get a look-alike of their class
    absence: tuple[int, int] | None = None  # ticks that an object stays away between two visits; None: one visit
    visit: tuple[int, int] = (60, 200)  # ticks of a visit, where objects come and go
    late_share: float = 0.4  # chance that an object is not there at the first frame
    degraded_share: float = 0.0  # share of frames in bursts of degradation
    burst: tuple[int, int] = (6, 18)  # frames of a burst
    min_dynamic_share: float = 0.0  # moving pixels on average; sizes grow until it is reached
    crowd: bool = False  # people only, who walk and wait as in a street, see `crowd`
    waypoint_ticks: tuple[int, int] = (40, 80)  # ticks between two turning points; fewer is quicker and less smooth


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("short", 60, 2, 3, (0.3, 0.65), twins=1, late_share=0.3, degraded_share=0.12, burst=(3, 6)),
        Preset("several", 90, 3, 6, (0.25, 0.55), twins=1, late_share=0.3, degraded_share=0.12, burst=(3, 6)),
        Preset("degraded", 150, 3, 5, (0.3, 0.7), twins=1, late_share=0.3, degraded_share=0.4),
        Preset("dynamic", 240, 3, 5, (0.55, 0.95), twins=0, late_share=0.2, min_dynamic_share=0.15),
        Preset("crowd", 120, 3, 8, (0.28, 0.66), twins=0, crowd=True),
        Preset(
            "long", 3000, 4, 6, (0.3, 0.7), twins=2, absence=(200, 420), visit=(180, 520), late_share=0.5,
            degraded_share=0.05,
        ),
    )
}  # fmt: skip


def preset_of(name: str) -> Preset:
    """A preset by name; an unknown one raises `InputError` with the nearest."""
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]
