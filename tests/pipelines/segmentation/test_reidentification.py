"""Where a lost object is looked for: in proposals, large and small, and wherever cells look like it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipelines.segmentation.identity_policy import IdentityRules, IdentityState
from pipelines.segmentation.reidentification import Finding, Reidentification

CELLS, PX = (12, 16), (96, 128)  # cells of 8 pixels


class Looks:
    """An appearance as far as looking for one object goes: its similarity is told."""

    grid = CELLS

    def __init__(self, similarity: np.ndarray) -> None:
        self._similarity = similarity

    def similarity(self) -> dict[int, np.ndarray]:
        return {1: self._similarity}

    def to_cells(self, mask: np.ndarray) -> np.ndarray:
        return cv2.resize(mask.astype(np.float32), CELLS[::-1], interpolation=cv2.INTER_AREA)

    def to_pixels(self, cells: np.ndarray) -> np.ndarray:
        return cv2.resize(cells, PX[::-1], interpolation=cv2.INTER_LINEAR)


def square(top: int, left: int, side: int, level: float) -> np.ndarray:
    mask = np.zeros(PX, np.float32)
    mask[top : top + side, left : left + side] = level
    return mask


def find(search: Reidentification, state: IdentityState, proposal: np.ndarray, usual_px: float) -> Finding:
    others = np.zeros((1, *PX), np.float32)
    return search.search(1, state, usual_px, proposal, others, {1: 0})


def build(similarity: float = 0.0) -> tuple[Reidentification, IdentityState]:
    rules = IdentityRules(return_confidence=0.86, trusted_return=0.95, proposal_frames=2)
    looks = Looks(np.full(CELLS, similarity, np.float32))
    return Reidentification(rules, looks, is_calibrated=True), IdentityState(usual=0.8)


@pytest.mark.parametrize(("side", "corner"), [(40, 16), (10, 19), (5, 21)], ids=["large", "in four cells", "tiny"])
def test_a_proposal_is_believed_in_the_second_frame(side: int, corner: int) -> None:
    search, state = build(0.3)
    proposal = square(corner, corner, side, 0.9)
    assert not find(search, state, proposal, side**2).verdict.visible
    found = find(search, state, proposal, side**2)
    assert found.verdict.belief == "returned" and (found.mask > 0.5).sum() == side**2


def test_a_speck_is_no_return_of_something_large() -> None:
    search, state = build(0.3)
    for _ in range(3):
        assert not find(search, state, square(16, 16, 7, 0.97), 400).verdict.visible


def test_nothing_proposed_is_nothing_found() -> None:
    search, state = build(0.3)
    with np.errstate(all="raise"):
        assert not find(search, state, np.zeros(PX, np.float32), usual_px=0).verdict.visible


def test_a_cut_begins_anew() -> None:
    search, state = build(0.3)
    find(search, state, square(16, 16, 40, 0.9), 1600)
    assert list(search.state_dict()) == [1]
    search.start_shot()
    assert not search.state_dict()


def test_what_is_restored_goes_on() -> None:
    search, state = build(0.3)
    find(search, state, square(16, 16, 40, 0.9), 1600)
    again, _ = build(0.3)
    again.load_state_dict(search.state_dict())
    assert find(again, state, square(17, 17, 40, 0.9), 1600).verdict.belief == "returned"
    again.remove(1)
    assert not again.state_dict()
