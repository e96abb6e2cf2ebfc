"""The closed-form head against direct computation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.trackers.ridge import Normaliser, PixelSums, describe, pack, solve, unpack
from streamvos.models.efficientnet_lite import Features

PIXELS, SIZE = 300, 7


def pixels(seed: int = 0) -> torch.Tensor:
    """(SIZE, PIXELS) float64, the last row a constant."""
    drawn = torch.randn(SIZE, PIXELS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn[-1] = 1
    return drawn


TARGETS = {
    "hard": (torch.arange(PIXELS) % 9 == 0).double(),
    "soft": torch.linspace(0, 1, PIXELS, dtype=torch.float64) ** 3,
    "one pixel": torch.eye(PIXELS, dtype=torch.float64)[3],
    "all": torch.ones(PIXELS, dtype=torch.float64),
}


def weights_of(target: torch.Tensor) -> torch.Tensor:
    on, off = target.sum().clamp_min(1), (1 - target).sum().clamp_min(1)
    return 0.5 * target / on + 0.5 * (1 - target) / off


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_sums_equal_the_weighted_products(target: torch.Tensor) -> None:
    drawn = pixels()
    gram, moment = PixelSums(drawn).of(target)
    weights = weights_of(target)
    assert torch.allclose(gram, (drawn * weights) @ drawn.T, atol=1e-3)
    assert torch.allclose(moment, drawn @ (weights * target), atol=1e-3)


def test_values_too_small_to_matter_alone_are_left_out() -> None:
    target = torch.full((PIXELS,), 0.003, dtype=torch.float64)
    _, moment = PixelSums(pixels()).of(target)
    assert not moment.any()


def test_head_is_the_weighted_least_squares_solution() -> None:
    drawn, target = pixels(1), TARGETS["soft"]
    gram, moment = PixelSums(drawn).of(target)
    head = solve(gram, moment, 1e-9)
    root = weights_of(target).sqrt()
    wanted = np.linalg.lstsq((drawn * root).T.numpy(), (target * root).numpy(), rcond=None)[0]
    assert np.allclose(head.numpy(), wanted, atol=2e-3)


@pytest.mark.parametrize("regularisation", [1e-3, 0.1, 10.0])
def test_regularisation_enters_the_normal_equations(regularisation: float) -> None:
    gram, moment = PixelSums(pixels(2)).of(TARGETS["hard"])
    ridge = regularisation * gram.diagonal().mean().item()
    wanted = np.linalg.solve(gram.numpy() + ridge * np.eye(SIZE), moment.numpy())
    assert np.allclose(solve(gram, moment, regularisation).numpy(), wanted, atol=1e-9)


def test_fewer_pixels_than_numbers_can_still_be_solved() -> None:
    drawn = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    gram, moment = PixelSums(drawn).of(torch.tensor([1.0, 1, 1, 0, 0, 0, 0, 0]))
    scores = solve(gram, moment, 1e-3) @ drawn
    assert scores[:3].min() > 0.8 and scores[3:].max() < 0.2


def test_a_small_object_is_found_among_much_background() -> None:
    """5 pixels of 3,000: without equal weights for both classes the head would not care for them."""
    drawn = torch.randn(4, 3000, generator=torch.Generator().manual_seed(4))
    drawn[0, :5] += 6
    drawn[-1] = 1
    target = torch.zeros(3000)
    target[:5] = 1
    scores = solve(*PixelSums(drawn).of(target), 1e-3) @ drawn
    assert scores[:5].min() > 0.5
    assert (scores[5:] > 0.5).float().mean() < 0.02


def test_packing_keeps_a_symmetric_matrix() -> None:
    gram, _ = PixelSums(pixels()).of(TARGETS["hard"])
    packed = pack(gram)
    assert packed.shape == (SIZE * (SIZE + 1) // 2,)
    back = unpack(packed, SIZE)
    assert torch.equal(back, back.T) and torch.equal(back.triu(), gram.triu())
    small = torch.tensor([[1.0, 2.0], [2.0, 3.0]])
    assert pack(small).tolist() == [1, 2, 3] and torch.equal(unpack(pack(small), 2), small)


def test_packed_views_can_be_mixed() -> None:
    one, other = (PixelSums(pixels(seed)).of(TARGETS["soft"])[0] for seed in (0, 1))
    one, other = unpack(pack(one), SIZE), unpack(pack(other), SIZE)
    assert torch.allclose(unpack(0.3 * pack(one) + 0.7 * pack(other), SIZE), 0.3 * one + 0.7 * other)


def test_normaliser_uses_the_first_frame() -> None:
    first = torch.randn(3, 8, 9, generator=torch.Generator().manual_seed(0)) * 4 + 7
    normalise = Normaliser.fitted(first)
    flat = normalise(first)
    assert flat.shape == (4, 72)
    assert torch.allclose(flat[:3].mean(dim=1), torch.zeros(3), atol=1e-5)
    assert torch.allclose(flat[:3].std(dim=1), torch.ones(3), atol=1e-2)
    assert (flat[3] == 1).all()
    state = normalise.state_dict()
    spread = torch.from_numpy(state["spread"]).view(3, 1, 1)
    assert torch.allclose(normalise(first + spread)[:3], flat[:3] + 1, atol=1e-4)
    assert torch.equal(Normaliser.from_state(state, torch.device("cpu"))(first), flat)


def test_description_joins_three_strides() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = [
        torch.randn(1, channels, 64 // stride, 80 // stride, generator=generator)
        for channels, stride in ((24, 4), (40, 8), (112, 16))
    ]
    features = Features(np.zeros((64, 80, 3), np.uint8), (64, 80), *maps)
    made = describe(features)
    assert made.shape == (112 + 360 + 96, 8, 10)
    around = made[112:472].view(40, 9, 8, 10)
    assert torch.equal(around[:, 4], maps[1][0])  # the middle of 3x3
    assert torch.equal(around[:, 0, 1:, 1:], maps[1][0, :, :-1, :-1])  # up and left of it
    assert torch.equal(made[472:].view(24, 4, 8, 10)[:, 3], maps[0][0, :, 1::2, 1::2])
