"""The record of what a tracker sees: copies to write into, parts, other maps; read-only once that is switched on."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.trackers.protocol import Propagation
from streamvos.errors import InputError


@pytest.fixture
def three() -> Propagation:
    maps = np.stack([np.full((2, 3), value, np.float32) for value in (0.1, 0.2, 0.3)])
    return Propagation(np.array([2, 5, 9], np.int64), maps)


def test_objects_and_their_maps(three: Propagation) -> None:
    assert len(three) == 3 and three.size == (2, 3)
    assert [(key, round(float(one[0, 0]), 1)) for key, one in three.items()] == [(2, 0.1), (5, 0.2), (9, 0.3)]
    empty = Propagation.empty((4, 5))
    assert len(empty) == 0 and empty.size == (4, 5) and dict(empty.items()) == {}


def test_changes_make_another_one(three: Propagation) -> None:
    maps = three.maps()
    maps[:] = 0.5
    other, ones = three.with_maps(maps), np.ones((2, 3), np.float32)
    assert (other.probabilities == 0.5).all() and three.probabilities.max() < 0.4
    some = three.with_some({5: ones})
    assert [float(one[0, 0]) for _, one in some.items()] == pytest.approx([0.1, 1.0, 0.3])
    assert three.with_some({}) is three and three.probabilities.max() < 0.4
    rest = three.without({2, 9, 77})
    assert rest.object_ids.tolist() == [5] and rest.probabilities.shape == (1, 2, 3)
    assert len(three.without({2, 5, 9})) == 0


@pytest.mark.parametrize(
    ("ids", "shape"), [(2, (3, 2, 3)), (3, (3, 2)), (0, (1, 2, 3))], ids=["more maps", "one map", "no ids"]
)
def test_ids_and_maps_must_fit(ids: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected \(N,\) object_ids and \(N, h, w\) probabilities"):
        Propagation(np.arange(ids), np.zeros(shape, np.float32))


def test_nothing_can_be_written() -> None:
    found = Propagation(np.array([1], np.int64), np.zeros((1, 2, 3), np.float32))
    with pytest.raises(ValueError, match="read-only"):
        found.probabilities[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        found.object_ids[0] = 2
    found.maps()[0] = 1.0
