"""Which detection is which object, and which detections are new. Boxes, masks and classes in, pairs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from streamvos.boxes import box_iou
from streamvos.models import coco
from streamvos.records import Detections


@dataclass(frozen=True)
class MatchingRules:
    """How detections are matched and when a new one is confirmed: chosen on the sample clips, but for the last."""

    min_iou: float = 0.3  # of an object's box and a detection; larger leaves more unmatched
    looks: float = 1.0  # of a cosine by which an object is less like a detection than another one that may be it
    doubtful_mask: float = 0.2  # say of a mask that is not where motion carries it; larger follows masks that have slid
    hidden_cost: float = 0.1  # of a pair whose object is hidden; larger leaves it hidden sooner
    hidden_s: float = 1.0  # for so long a place alone may bring an object back; larger confuses more
    hidden_similarity: float = 0.5  # of looks below which it is another thing at that place
    confirm_iou: float = 0.3  # of two sightings of a new thing in successive runs of the detector, both grown:
    confirm_margin: float = 0.25  # by so much of their sides, since it may walk; larger confirms what runs
    max_shared: float = 0.3  # of the smaller of two boxes below which they are of two things
    max_covered: float = 0.6  # share of a detection inside masks of its group above which it is nothing new
    max_double_iou: float = 0.45  # with a detection of the class that is known above which it is a second look at it
    min_inside: float = 0.7  # share of an object's mask inside a detection above which it is a fragment of that thing
    agree_iou: float = 0.5  # of a mask's box and its detection below which the mask is made anew from the detection
    box_margin: float = 0.2  # of a detection's sides; what a mask has beyond it is cut off
    # Cosine of appearance from which an object of this shot has returned; or from the second, where it leads all others
    # of its class by so much. Chosen on tracks of real clips and on composed sets for development; what that gains, and
    # costs with look-alikes, on others: `python -m eval.studies.recognition`, eval/results/recognition.md.
    min_similarity: float = 0.85
    min_leading_similarity: float = 0.65
    min_lead: float = 0.1
    min_similarity_across_cuts: float = 0.9  # the one that counts after a cut; larger recognises less and errs less


class Known(NamedTuple):
    """An object as it is expected in a frame in which the detector ran.

    Args:
        object_id, class_name: of the object; "" where the class is unknown.
        mask: (h, w) bool at the working size; empty where it is not seen.
        visible_xyxy: (4,) box of the mask in the frame; zeros where it is empty.
        carried_xyxy: (4,) whole box by the mask, zeros likewise.
        foreseen_xyxy: (4,) whole box by its motion alone.
        hidden_s: for how long it has not been seen; 0 where it is.
    """

    object_id: int
    class_name: str
    mask: np.ndarray
    visible_xyxy: np.ndarray
    carried_xyxy: np.ndarray
    foreseen_xyxy: np.ndarray
    hidden_s: float


def associate(
    found: Detections,
    known: Sequence[Known],
    sure: float,
    rules: MatchingRules,
    likeness: Callable[[int, int], float],
) -> dict[int, int]:
    """Pair detections with objects so that the total overlap is greatest, in a cascade as ByteTrack's (Zhang et al.,
    ECCV 2022): sure detections first, with all objects; doubtful ones with what is seen and still has none.

    Where an object is, two witnesses say: its mask and its motion. Either may place it, both together rank the pairs.
    The same class is worth a little more, and where several objects may be a detection, the same looks are.

    Args:
        found: M detections.
        known: N objects.
        sure: score from which a detection is sure.
        likeness: cosine of the looks of a detection (its row) and of an object (its column); asked where it matters.

    Returns:
        Row of the detection to row of the object.
    """
    if not len(found) or not known:
        return {}
    overlap = _overlaps(found, known)  # (3, M, N)
    fits, worth = overlap.max(axis=0), _worth(overlap, found, known, rules)
    possible = (fits >= rules.min_iou) & (worth > rules.min_iou)
    for row in np.flatnonzero(possible.sum(axis=1) > 1).tolist():
        columns = np.flatnonzero(possible[row])
        alike = np.array([likeness(row, column) for column in columns.tolist()])
        worth[row, columns] += rules.looks * (alike - alike.max())
    is_sure, is_seen = found.scores >= sure, np.array([one.hidden_s == 0 for one in known])
    pairs = _assigned(worth, possible & is_sure[:, None])
    free = ~np.isin(np.arange(len(known)), list(pairs.values()))
    return pairs | _assigned(worth, possible & ~is_sure[:, None] & (free & is_seen)[None])


def _overlaps(found: Detections, known: Sequence[Known]) -> np.ndarray:
    """(3, M, N) IoU with the visible, the carried and the foreseen boxes."""
    kinds = ([getattr(one, name) for one in known] for name in ("visible_xyxy", "carried_xyxy", "foreseen_xyxy"))
    return np.stack([box_iou(found.boxes_xyxy, np.array(boxes, np.float32).reshape(-1, 4)) for boxes in kinds])


def _worth(overlap: np.ndarray, found: Detections, known: Sequence[Known], rules: MatchingRules) -> np.ndarray:
    """(M, N): what each pair is worth."""
    by_mask, by_motion = overlap[:2].max(axis=0), overlap[2]
    share = np.array([_share_of_mask(one, rules) for one in known])
    worth = share * by_mask + (1 - share) * by_motion
    worth -= rules.hidden_cost * np.array([one.hidden_s > 0 for one in known])
    for column, one in enumerate(known):
        for row, name in enumerate(found.class_names):
            worth[row, column] += 0.2 if not one.class_name or same_group(one.class_name, name) else -0.3
    return worth


def _share_of_mask(one: Known, rules: MatchingRules) -> float:
    """How much the mask says of where an object is; the rest is said by its motion."""
    if one.hidden_s:
        return 0.0
    agree = box_iou(one.carried_xyxy[None], one.foreseen_xyxy[None])[0, 0] >= rules.agree_iou
    return 0.5 if agree else rules.doubtful_mask


def _assigned(worth: np.ndarray, possible: np.ndarray) -> dict[int, int]:
    rows, columns = linear_sum_assignment(np.where(possible, -worth, 0.0))
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {row: column for row, column in pairs if possible[row, column]}


def match_fragments(
    found: Detections, known: Sequence[Known], pairs: dict[int, int], size: tuple[int, int], min_inside: float
) -> dict[int, int]:
    """Pair what `associate` left: a detection with the largest free mask of its group that lies inside it.

    A mask that has shrunk to a part of its object overlaps little with the detection of the whole.
    """
    more: dict[int, int] = {}
    for row in range(len(found)):
        if row in pairs:
            continue
        inside = [
            (int(one.mask.sum()), column)
            for column, one in enumerate(known)
            if column not in pairs.values()
            and column not in more.values()
            and same_group(one.class_name, found.class_names[row])
            and contained(found.boxes_xyxy[row], one.mask, size) >= min_inside
        ]
        if inside:
            more[row] = max(inside)[1]
    return more


def contained(box_xyxy: np.ndarray, mask: np.ndarray, size: tuple[int, int]) -> float:
    """Share of an (h, w) bool mask that lies inside a (4,) box given in pixels of a frame of size (H, W)."""
    area = int(mask.sum())
    if not area:
        return 0.0
    window = box_window(box_xyxy, mask.shape, size, 0.0)
    return float(mask[window].sum() / area)


def box_window(
    box_xyxy: np.ndarray, shape: tuple[int, ...], size: tuple[int, int], margin: float
) -> tuple[slice, slice]:
    """Rows and columns of an (h, w) map that a box of the (H, W) frame covers, its sides grown by a share."""
    scale = np.array([shape[1] / size[1], shape[0] / size[0]] * 2)
    left, top, right, bottom = box_xyxy * scale
    grow_x, grow_y = margin * (right - left), margin * (bottom - top)
    low = np.floor([top - grow_y, left - grow_x]).astype(int).clip(0)
    high = np.ceil([bottom + grow_y, right + grow_x]).astype(int)
    return slice(low[0], max(high[0], low[0] + 1)), slice(low[1], max(high[1], low[1] + 1))


def shared(one_xyxy: np.ndarray, other_xyxy: np.ndarray) -> float:
    """Share of the smaller of two (4,) boxes that lies in the other."""
    sides = np.minimum(one_xyxy[2:], other_xyxy[2:]) - np.maximum(one_xyxy[:2], other_xyxy[:2])
    areas = [float((box[2:] - box[:2]).prod()) for box in (one_xyxy, other_xyxy)]
    return float(np.clip(sides, 0, None).prod()) / max(1e-6, min(areas))


def grown(box_xyxy: np.ndarray, margin: float) -> np.ndarray:
    """A (4,) box with its sides moved out by a share of its width and height."""
    reach = margin * np.tile(box_xyxy[2:] - box_xyxy[:2], 2)
    return (box_xyxy + reach * np.array([-1, -1, 1, 1])).astype(np.float32)


def same_group(one: str, other: str) -> bool:
    """Whether two class names may be one thing: equal, or of one group (car and truck, dog and cat)."""
    return one == other or (one in coco.GROUP_OF and coco.GROUP_OF[one] == coco.GROUP_OF.get(other))
