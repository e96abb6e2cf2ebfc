"""Affinities against their plain definitions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as functional

from pipelines.trackers.affinity import global_affinity, key_map, local_affinity

RADIUS, TEMPERATURE = 2, 0.1


def keys(seed: int, height: int = 13, width: int = 11, channels: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(channels, height, width, generator=generator), dim=0)


def blob(top: int, left: int, height: int = 13, width: int = 11) -> torch.Tensor:
    values = torch.zeros(1, height, width)
    values[0, top : top + 3, left : left + 2] = torch.tensor([[1.0, 0.8], [0.3, 1.0], [0.6, 0.5]])
    return values


def windowed_softmax(query: torch.Tensor, key: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    carried = torch.zeros_like(values)
    height, width = query.shape[1:]
    for row in range(height):
        for col in range(width):
            rows = slice(max(0, row - RADIUS), row + RADIUS + 1)
            cols = slice(max(0, col - RADIUS), col + RADIUS + 1)
            similarity = torch.einsum("c,chw->hw", query[:, row, col], key[:, rows, cols])
            weights = torch.softmax(similarity.flatten() / TEMPERATURE, dim=0)
            carried[:, row, col] = values[:, rows, cols].flatten(1) @ weights
    return carried


@pytest.mark.parametrize("place", [(4, 4), (0, 0), (10, 9), (0, 9)], ids=["middle", "corner", "far corner", "edge"])
def test_local_affinity_is_a_windowed_softmax(place: tuple[int, int]) -> None:
    query, key, values = keys(0), keys(1), blob(*place)
    carried = local_affinity(query, key, values, RADIUS, TEMPERATURE)
    wanted = windowed_softmax(query, key, values)
    assert wanted.max() > 0.3
    assert torch.allclose(carried, wanted, atol=1e-5)


def test_local_affinity_of_everything_everywhere() -> None:
    query, key = keys(2), keys(3)
    values = torch.rand(2, 13, 11, generator=torch.Generator().manual_seed(4))
    wanted = windowed_softmax(query, key, values)
    assert torch.allclose(local_affinity(query, key, values, RADIUS, TEMPERATURE), wanted, atol=1e-5)


def test_several_objects_at_once_equal_one_at_a_time() -> None:
    query, key, values = keys(0), keys(1), torch.cat([blob(1, 1), blob(9, 8), torch.zeros(1, 13, 11)])
    together = local_affinity(query, key, values, RADIUS, TEMPERATURE)
    apart = [local_affinity(query, key, one[None], RADIUS, TEMPERATURE) for one in values]
    assert torch.allclose(together, torch.cat(apart), atol=1e-6)
    assert together[0].any() and together[1].any() and not together[2].any()


def test_nothing_is_carried_further_than_the_window() -> None:
    carried = local_affinity(keys(0), keys(1), blob(4, 4), RADIUS, TEMPERATURE)[0]
    near = torch.zeros(13, 11, dtype=torch.bool)
    near[4 - RADIUS : 7 + RADIUS, 4 - RADIUS : 6 + RADIUS] = True
    assert (carried[near] > 0).all() and (carried[~near] == 0).all()
    assert not local_affinity(keys(0), keys(1), torch.zeros(2, 13, 11), RADIUS, TEMPERATURE).any()


@pytest.mark.parametrize("shift", [(0, 0), (1, 2), (-2, 1)], ids=str)
def test_values_go_with_their_keys(shift: tuple[int, int]) -> None:
    key, values = keys(7, channels=64), blob(5, 5)
    moved = local_affinity(key.roll(shift, (1, 2)), key, values, RADIUS, 0.02)
    assert torch.allclose(moved, values.roll(shift, (1, 2)), atol=0.02)


@pytest.mark.parametrize("top", [1, 5, 10_000], ids=["best alone", "five", "more than there are"])
def test_global_affinity_is_a_softmax_over_the_best_places(top: int) -> None:
    query = keys(0, 5, 4)
    remembered = torch.stack([keys(1, 5, 4), keys(2, 5, 4)])
    values = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(3))
    found = global_affinity(query, remembered, values, top, TEMPERATURE)
    assert found.shape == (5, 4)
    for row in range(5):
        for col in range(4):
            similarity = torch.einsum("c,nchw->nhw", query[:, row, col], remembered).flatten()
            order = similarity.argsort(descending=True)[:top]
            weights = torch.softmax(similarity[order] / TEMPERATURE, dim=0)
            assert found[row, col] == pytest.approx(float(values.flatten()[order] @ weights), abs=1e-5)


def test_global_affinity_finds_a_return_at_any_place() -> None:
    key, values = keys(5, channels=64), blob(0, 0)
    found = global_affinity(key.roll((8, 7), (1, 2)), key[None], values, 1, TEMPERATURE)
    assert torch.allclose(found, values[0].roll((8, 7), (0, 1)), atol=1e-5)


def test_keys_are_unit_vectors() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(1, 8, 3, 4, generator=generator), torch.randn(1, 4, 3, 4, generator=generator)
    made = key_map(one, 3 + 5 * other)
    assert made.shape == (12, 3, 4)
    assert torch.allclose(made.norm(dim=0), torch.ones(3, 4), atol=1e-5)


def test_sixteen_bits_carry_nearly_the_same() -> None:
    query, key, values = keys(0, 60, 50), keys(1, 60, 50), torch.cat([blob(4, 4, 60, 50), blob(50, 45, 60, 50)])
    exact, coarse = (
        local_affinity(query, key, values, RADIUS, TEMPERATURE, dtype) for dtype in (torch.float32, torch.bfloat16)
    )
    assert torch.allclose(exact, coarse, atol=0.03) and exact.max() > 0.2


def test_kinds_of_values_are_carried_alike() -> None:
    generator = torch.Generator().manual_seed(4)
    query, keys = torch.rand(5, 3, 4, generator=generator), torch.rand(2, 5, 3, 4, generator=generator)
    values = torch.rand(6, 2, 3, 4, generator=generator)
    together = global_affinity(query, keys, values, 7, TEMPERATURE)
    assert together.shape == (6, 3, 4)
    for kind, alone in zip(values, together, strict=True):
        assert torch.allclose(global_affinity(query, keys, kind, 7, TEMPERATURE), alone)
