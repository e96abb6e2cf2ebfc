"""The appearance model on made-up cells: twins, background, confirmed views, bytes, snapshots."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.segmentation.appearance import AppearanceModel
from pipelines.trackers.protocol import CellMap

BUDGET = 2**20
SIZE, GRID, CHANNELS = (64, 96), (8, 12), 16
LOOKS = np.random.default_rng(5).normal(size=(4, CHANNELS)).astype(np.float32)  # 0 is the background's
LOOKS[3] = LOOKS[2] + 0.5 * np.random.default_rng(6).normal(size=CHANNELS)  # twins, nearly
PLACES = {1: (slice(1, 4), slice(1, 4)), 2: (slice(1, 5), slice(7, 11)), 3: (slice(5, 8), slice(2, 6))}


def share_of(object_id: int) -> np.ndarray:
    share = np.zeros(GRID, np.float32)
    share[PLACES[object_id]] = 1.0
    return share


def frame(seed: int, *object_ids: int) -> tuple[np.ndarray, CellMap]:
    rng = np.random.default_rng(seed)
    labels = np.zeros(GRID, int)
    for object_id in object_ids:
        labels[PLACES[object_id]] = object_id
    features = LOOKS[labels] + 0.3 * rng.normal(size=(*GRID, CHANNELS))
    image = rng.integers(100, 110, (*SIZE, 3), np.uint8)
    return image, CellMap(torch.from_numpy(features.transpose(2, 0, 1).astype(np.float32)), (0, 0, 0, 0))


def build(*object_ids: int) -> AppearanceModel:
    appearance = AppearanceModel(BUDGET, torch.device("cpu"))
    appearance.observe(*frame(0, *object_ids))
    for object_id in object_ids:
        appearance.confirm(0, object_id, share_of(object_id), replace=True)
    appearance.learn_background(1.0 - sum(share_of(object_id) for object_id in object_ids))
    appearance.fit()
    return appearance


def mean(appearance: AppearanceModel, object_id: int, place: int) -> float:
    return float(appearance.similarity()[object_id][PLACES[place]].mean())


def test_twins_are_told_apart_in_a_later_frame() -> None:
    appearance = build(1, 2, 3)
    appearance.observe(*frame(1, 1, 2, 3))
    for object_id in (1, 2, 3):
        others = [mean(appearance, object_id, place) for place in PLACES if place != object_id]
        assert mean(appearance, object_id, object_id) > 0.6 > 0.35 > max(others)
    appearance.observe(*frame(2, 1, 2))
    assert mean(appearance, 3, 3) < 0.2, "the background in its place"


def test_a_look_that_is_followed_is_known_later_and_the_first_one_too() -> None:
    appearance = build(1, 2)
    changed, first = LOOKS.copy(), LOOKS[1].copy()
    changed[1] = 0.3 * first + np.random.default_rng(7).normal(size=CHANNELS)

    def shown(look: np.ndarray, seed: int) -> float:
        LOOKS[1] = look
        appearance.observe(*frame(seed, 1, 2))
        LOOKS[1] = first
        return mean(appearance, 1, 1)

    before = shown(changed[1], 3)
    for seed in range(4, 30):
        shown(changed[1], seed)
        appearance.follow(5, 1, share_of(1))
        appearance.fit()
    assert shown(changed[1], 50) > before + 0.05
    assert shown(first, 51) > 0.6


def test_confirming_in_place_of_what_was_known_forgets() -> None:
    appearance = build(1, 2)
    appearance.observe(*frame(1, 1, 2, 3))
    appearance.confirm(0, 1, share_of(3), replace=True)
    appearance.fit()
    appearance.observe(*frame(2, 1, 2, 3))
    assert mean(appearance, 1, 3) > 0.6 > 0.3 > mean(appearance, 1, 1)


def test_bytes_do_not_grow_and_removed_objects_are_gone() -> None:
    appearance = build(1, 2, 3)
    size = appearance.memory.stats().bytes
    for seed in range(1, 6):
        appearance.observe(*frame(seed, 1, 2, 3))
        appearance.follow(5, 2, share_of(2))
        appearance.learn_background(1.0 - share_of(2))
        appearance.fit()
    stats = appearance.memory.stats()
    assert stats.bytes == size <= stats.capacity_bytes and stats.entries == 3
    appearance.remove(2)
    appearance.remove(9)
    assert appearance.object_ids == [1, 3] and appearance.memory.stats().bytes < size
    assert 2 not in appearance.memory.read() and 2 not in appearance.state_dict()["heads"]


def test_a_restored_one_goes_on_as_if_nothing_had_happened() -> None:
    one, other = build(1, 2), AppearanceModel(BUDGET, torch.device("cpu"))
    other.load_state_dict(one.state_dict())
    for appearance in (one, other):
        appearance.observe(*frame(1, 1, 2))
        appearance.follow(5, 1, share_of(1))
        appearance.learn_background(1.0 - share_of(1))
        appearance.fit()
    for object_id, similarity in one.similarity().items():
        assert np.array_equal(similarity, other.similarity()[object_id])


@pytest.mark.parametrize(
    "share", [np.zeros(GRID, np.float32), np.full(GRID, 1e-4, np.float32)], ids=["none", "a trace"]
)
def test_an_empty_view_teaches_nothing(share: np.ndarray) -> None:
    appearance = build(1)
    head = appearance.state_dict()["heads"][1]
    appearance.confirm(0, 1, share, replace=True)
    appearance.confirm(0, 7, share, replace=False)
    appearance.follow(5, 1, share)
    appearance.fit()
    assert np.array_equal(appearance.state_dict()["heads"][1], head) and appearance.object_ids == [1]


def test_masks_go_to_cells_and_back() -> None:
    appearance = build(1)
    mask = np.zeros(SIZE, bool)
    mask[16:40, 24:60] = True
    cells = appearance.to_cells(mask)
    assert cells.shape == GRID and cells.sum() * 64 == pytest.approx(mask.sum())
    back = appearance.to_pixels(cells) > 0.5
    assert back.shape == SIZE and (back & mask).sum() / (back | mask).sum() > 0.85
