"""When the long memory writes, closes, bridges and forgets: pure functions of numbers."""

from __future__ import annotations

from dataclasses import dataclass

from streamvos.errors import InputError

Box = tuple[float, float, float, float]
MIN_BUDGET_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class EpisodeConfig:
    """Settings of the long memory.

    Args:
        budget_bytes: most that store and thumbnails take on disk; a larger one keeps detail for longer.
        min_life_s: a thing seen for less is not stated as a fact; larger drops more false sightings and more
            brief true ones. What a user pointed at is stated at once.
        bridge_s: a thing that is unseen for less stays the same appearance; larger hides flicker and short
            absences.
        sample_s: seconds between two notes of where a thing is; smaller follows motion closer, costs bytes.
        chunk_s: longest stretch that one summary covers; smaller finds moments more exactly, costs bytes.
        min_chunk_s: a cut closes a summary only if it covers this much; bounds summaries of fast-cut video.
        gap_s: frames further apart leave the time between them uncovered (at low frame rates: five periods).
        commit_s: seconds of video between two commits; what is committed survives a crash.
    """

    budget_bytes: int = 64 * 1024 * 1024
    min_life_s: float = 0.25
    bridge_s: float = 0.5
    sample_s: float = 0.5
    chunk_s: float = 16.0
    min_chunk_s: float = 1.0
    gap_s: float = 2.0
    commit_s: float = 1.0

    def __post_init__(self) -> None:
        if self.budget_bytes < MIN_BUDGET_BYTES:
            raise InputError(
                f"budget_bytes: expected at least {MIN_BUDGET_BYTES} (empty tables take 1 MiB), got {self.budget_bytes}"
            )
        for name in ("sample_s", "chunk_s", "gap_s", "commit_s"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name}: expected seconds > 0, got {getattr(self, name)}")
        for name in ("min_life_s", "bridge_s", "min_chunk_s"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}: expected seconds >= 0, got {getattr(self, name)}")


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
