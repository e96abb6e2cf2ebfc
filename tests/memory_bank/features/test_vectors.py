"""Feature vectors: which cells are kept, which are erased, how they are read."""

import numpy as np
import pytest

from memory_bank.features import policy
from memory_bank.features.policy import FeatureMemoryConfig
from memory_bank.features.vectors import FeatureVectors, attend
from memory_bank.protocol import Memory
from streamvos.errors import InputError

LEVELS = {"fine": 32, "coarse": 64}
SIZE = (100, 200)


def new_vectors(config: FeatureMemoryConfig | None = None, levels: dict[str, int] = LEVELS) -> FeatureVectors:
    return FeatureVectors(config or FeatureMemoryConfig(), 30_000, levels)


def maps(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"fine": rng.random((10, 12, 32), np.float32) * 6, "coarse": rng.random((5, 6, 64), np.float32) * 6}


def boxes(*rows) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def write(vectors: FeatureVectors, frame: int) -> None:
    vectors.write(frame, SIZE, maps(frame), boxes([0, 10, 60, 70], [120, 20, 180, 90]), np.array([7, -1]))


def test_is_a_memory():
    assert isinstance(new_vectors(), Memory)


def test_a_full_level_erases_as_many_random_vectors_as_arrive():
    vectors = new_vectors()
    for frame in range(100):
        write(vectors, frame)
    level = vectors._levels["coarse"]
    assert level.used == level.capacity
    before = level.vectors.copy()
    vectors.drain_events()
    write(vectors, 100)
    changed = int((level.vectors != before).any(axis=1).sum())
    kept, evicted = [event for event in vectors.drain_events() if event.entry == "feature vectors, coarse level"]
    assert (kept.action, evicted.action) == ("write", "evict")
    assert kept.reason == (
        f"{changed} vectors of random cells inside 2 boxes; {level.used} of {level.capacity} are taken"
    )
    assert evicted.reason == f"all {level.capacity} are taken: {changed} random ones made room for as many new ones"
    assert kept.bytes == evicted.bytes == vectors.stats().bytes
    held = sum(level.vectors.nbytes + level.object_ids.nbytes for level in vectors._levels.values())
    assert held <= 30_000  # what is really allocated


def test_a_removed_object_leaves_no_numbers_behind():
    vectors = new_vectors()
    write(vectors, 0)
    vectors.remove(7)
    for level in vectors._levels.values():
        assert not (level.object_ids == 7).any() and not level.vectors[level.used :].any()


def test_reading_pulls_towards_what_is_remembered():
    vectors = new_vectors(FeatureMemoryConfig(blend=0.5))
    clean = {name: np.zeros_like(level) for name, level in maps(0).items()}
    for level in clean.values():
        level[..., ::2] = 4.0
    vectors.write(0, SIZE, clean, boxes([0, 0, 200, 100]), np.array([1]))
    rng = np.random.default_rng(1)
    noisy = {
        name: np.clip(level + rng.normal(0, 1, level.shape), 0, 6).astype(np.float32) for name, level in clean.items()
    }
    enhanced = vectors.read(1, noisy)
    for name in LEVELS:
        assert enhanced[name].dtype == np.float32 and enhanced[name].shape == noisy[name].shape
        np.testing.assert_allclose(enhanced[name] - clean[name], (noisy[name] - clean[name]) / 2, atol=1e-3)


def test_blend_of_nothing_keeps_no_vectors():
    vectors = new_vectors(FeatureMemoryConfig(blend=0.0))
    write(vectors, 0)
    assert vectors.stats().entries == 0 and vectors.drain_events() == ()
    probe = maps(0)
    assert all(vectors.read(10, probe)[name] is probe[name] for name in LEVELS)


def test_channels_that_the_heads_cannot_share_are_refused():
    with pytest.raises(InputError, match="16 heads to share, got 30"):
        new_vectors(levels={"level": 30})


def test_attention_by_hand():
    keys = np.array([[1, 0, 0, 2], [0, 1, 3, 0]], np.float32)
    cells = np.array([[5, 0, 0, 7], [0, 2, 0, 9]], np.float32)
    sharp = attend(cells, keys, heads=2, sharpness=200.0)  # each head picks the key of its own direction
    np.testing.assert_allclose(sharp, [[1, 0, 0, 2], [0, 1, 0, 2]], atol=1e-5)
    flat = attend(cells, keys, heads=2, sharpness=0.0)
    np.testing.assert_allclose(flat, np.tile(keys.mean(axis=0), (2, 1)), atol=1e-6)


def test_cells_of_boxes_by_hand():
    rng = np.random.default_rng(0)
    cells, owner = policy.cells_of_boxes(rng, boxes([0, 0, 50, 50], [0, 0, 100, 50]), (100, 100), (4, 4), 99)
    assert dict(zip(cells.tolist(), owner.tolist(), strict=True)) == {
        **dict.fromkeys((0, 1, 4, 5), 0),
        **dict.fromkeys((2, 3, 6, 7), 1),
    }
    tiny, _ = policy.cells_of_boxes(rng, boxes([99, 99, 100, 100]), (100, 100), (4, 4), 99)
    assert tiny.tolist() == [15]
    few, _ = policy.cells_of_boxes(rng, boxes([0, 0, 100, 100]), (100, 100), (4, 4), 3)
    assert len(few) == 3
    none, _ = policy.cells_of_boxes(rng, boxes(), (100, 100), (4, 4), 3)
    assert len(none) == 0
