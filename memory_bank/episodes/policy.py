"""When the long memory writes, closes, bridges and forgets: pure functions of numbers."""

from __future__ import annotations

from dataclasses import dataclass

from streamvos.config import Settings, setting

Box = tuple[float, float, float, float]
MIN_BUDGET_BYTES = 2 * 1024 * 1024  # empty tables take one
BUDGET_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class EpisodeConfig(Settings, at="remember.episodes"):
    """Times of the long memory."""

    min_life_s: float = setting(
        0.25,
        "a thing seen for less is not stated as a fact, but for what a user pointed at; larger drops more false "
        "sightings, and brief true ones",
        low=0,
    )
    bridge_s: float = setting(
        0.5,
        "a thing that is unseen for less stays the same appearance; larger hides flicker and short absences",
        low=0,
    )
    sample_s: float = setting(
        0.5, "between two notes of where a thing is; smaller follows motion closer, costs bytes", above=0
    )
    chunk_s: float = setting(
        16.0, "longest stretch of one summary; smaller finds moments more exactly, costs bytes", above=0
    )
    gap_s: float = setting(
        2.0, "frames further apart leave the time between them uncovered (at low rates: five periods)", above=0
    )
    commit_s: float = setting(1.0, "of video between two commits; what is committed survives a crash", above=0)


MIN_CHUNK_S = 1.0  # a cut closes a summary that covers this much; bounds the summaries of fast-cut video

# length in ms of the windows that summaries of each level cover; level 0 follows `chunk_s` and the cuts
LEVEL_MS = (0, 300_000, 3_600_000, 86_400_000)

# what goes first when the budget is reached: (kinds of rows, share of the budget down to which they go)
LADDER: tuple[tuple[tuple[str, ...], float], ...] = (
    (("observation", "keyframe"), 0.3),
    (("chunk",), 0.1),
    (("observation", "keyframe"), 0.0),
    (("chunk",), 0.0),
    (("past",), 0.0),
)
# thinning goes on until this share of the budget is used, so that it is not due again at once
RELIEF = 0.93
JOURNAL_SHARE = 0.25


def is_gap(elapsed_ms: int, period_ms: float | None, gap_s: float) -> bool:
    """Whether the time between two frames counts as not covered; `period_ms` is the usual distance of frames."""
    usual = 0.0 if period_ms is None else period_ms
    return elapsed_ms > max(1000 * gap_s, 5 * usual) and (period_ms is not None or elapsed_ms > 10_000)


def bridge_ms(period_ms: float | None, bridge_s: float) -> float:
    """How long a thing may be unseen within one span: at low frame rates, at least one missed frame."""
    return max(1000 * bridge_s, 2.5 * (period_ms or 0.0))


def update_period(period_ms: float | None, elapsed_ms: int) -> float:
    """The usual distance of frames, a slow average."""
    return float(elapsed_ms) if period_ms is None else period_ms + 0.05 * (elapsed_ms - period_ms)


def is_confirmed(first_ms: int, last_ms: int, num_seen: int, prompted: bool, min_life_s: float) -> bool:
    """Whether a thing was seen long enough to be stated as a fact."""
    return prompted or (num_seen >= 2 and last_ms - first_ms >= 1000 * min_life_s)


def region_of(box: Box) -> str:
    """The part of the picture where the middle of a box lies, such as "left", "middle" or "top right"."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    column = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    row = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    return f"{row} {column}".strip() or "middle"


def touched_border(box: Box, margin: float = 0.02) -> str | None:
    """The border of the picture that a box touches, left and right first; None where it touches none."""
    if box[0] <= margin:
        return "left"
    if box[2] >= 1 - margin:
        return "right"
    if box[1] <= margin:
        return "top"
    return "bottom" if box[3] >= 1 - margin else None


def ending_of(state: str, last_box: Box) -> str:
    """Why a span ended, from the last state told and the last box seen."""
    if touched_border(last_box):
        return "left"
    return "occluded" if state == "occluded" else "unknown"


def score_thinning(gap_before_ms: float, gap_after_ms: float, age_ms: float) -> float:
    """Worth of an observation or picture among its neighbours: the distance they would leave, relative to its age.

    Dropping the lowest first spreads what is kept evenly on a logarithmic scale of age.
    """
    return (gap_before_ms + gap_after_ms) / (age_ms + 1000.0)
