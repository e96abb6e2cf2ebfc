"""The embedded refiner: its network, its prompts, its candidates."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pipelines.refiners.config import RefineConfig
from pipelines.refiners.embedded import EmbeddedRefiner, EmbeddedRefinerRules
from pipelines.refiners.first_mask import first_candidate
from pipelines.refiners.gate import intersection_over_union, refine_mask
from pipelines.refiners.mask_parts import with_parts_of
from pipelines.refiners.prompt_maps import CHANNELS, ODDS, prompt_maps
from pipelines.refiners.protocol import RefinerSetup
from pipelines.refiners.refine_net import ALL, CHOICES, RefineNet
from pipelines.training.loop import export
from streamvos.errors import InputError
from streamvos.masks import tight_box
from streamvos.models.efficientnet_lite import EfficientNetLite0
from streamvos.records import Prompt

CPU = torch.device("cpu")
SETUP = RefinerSetup(CPU)
SMALL = EmbeddedRefinerRules(size_px=96, margin=0.2, click_reaches=(0.2, 0.5))


def scene(centre=(70, 60), axes=(30, 20), size=(120, 160)) -> tuple[np.ndarray, np.ndarray]:
    """A red tilted ellipse on a noisy green ground, and its mask."""
    rng = np.random.default_rng(0)
    image = np.full((*size, 3), (40, 140, 60), np.uint8)
    mask = np.zeros(size, np.uint8)
    cv2.ellipse(mask, centre, axes, 30, 0, 360, 1, -1)
    image[mask > 0] = (200, 40, 40)
    return np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8), mask > 0


def fresh_net() -> RefineNet:
    torch.manual_seed(0)
    return RefineNet().eval()


@pytest.fixture(scope="module")
def untrained() -> EmbeddedRefiner:
    """Its answer is what the colours say, for the network starts from that."""
    return EmbeddedRefiner(fresh_net(), SETUP, SMALL)


def encoded(net: RefineNet, image: np.ndarray):
    seen = EfficientNetLite0(CPU).encode(image, len(image))
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    return net.encode(pixels, seen.stride4, seen.stride8, seen.stride16)


def test_shapes_sizes_and_budget() -> None:
    net = fresh_net()
    image = cv2.resize(scene()[0], (96, 96))
    box = np.array([10, 10, 80, 80], np.float32)
    maps = np.stack([prompt_maps(image, box), prompt_maps(image, coarse=np.ones((96, 96), np.float32))])
    with torch.inference_mode():
        refined = net.decode(encoded(net, image).rows(torch.tensor([0, 0])), torch.from_numpy(maps))
        every = net.decode(encoded(net, image).rows(torch.tensor([0, 0])), torch.from_numpy(maps), ALL)
        choices = net.decode(encoded(net, image).rows(torch.tensor([0, 0])), torch.from_numpy(maps), CHOICES)
    assert refined.logits.shape == (2, 1, 96, 96) and refined.logits8.shape == (2, 1, 12, 12)
    assert every.logits.shape == (2, 4, 96, 96) and choices.iou.shape == (2, 3)
    for name in ("logits", "logits8", "iou"):
        torch.testing.assert_close(getattr(every, name)[:, :1], getattr(refined, name))
        torch.testing.assert_close(getattr(every, name)[:, 1:], getattr(choices, name))
    assert refined.iou.shape == (2, 1) and bool(((refined.iou > 0) & (refined.iou < 1)).all())
    assert sum(value.numel() for value in net.parameters()) < 1_000_000


def test_a_prompt_counts_alone_as_beside_others() -> None:
    net = fresh_net()
    torch.nn.init.normal_(net.out.weight, 0, 0.1)
    image = cv2.resize(scene()[0], (64, 64))
    maps = torch.from_numpy(
        np.stack([prompt_maps(image, np.array([8, 8, 50, 50], np.float32)), prompt_maps(image, None, *clicks())])
    )
    with torch.inference_mode():
        crop = encoded(net, image)
        both = net.decode(crop.rows(torch.tensor([0, 0])), maps).logits
        alone = [net.decode(crop, maps[row : row + 1]).logits[0] for row in range(2)]
    assert all(torch.allclose(one, two, atol=1e-4) for one, two in zip(both, alone, strict=True))
    assert not torch.allclose(both[0], both[1], atol=0.1)


def clicks() -> tuple[np.ndarray, np.ndarray]:
    return np.array([[30, 30], [5, 5]], np.float32), np.array([True, False])


def test_prompts_by_hand() -> None:
    image = cv2.resize(scene()[0], (64, 64))
    maps = prompt_maps(image, np.array([16, 8, 48, 56], np.float32), *clicks())
    assert maps.shape == (CHANNELS, 32, 32)
    assert maps[0, 4:28, 8:24].all() and maps[0].sum() == 24 * 16 and (maps[1] == 1).all()
    on, off = (np.unravel_index(maps[row].argmax(), (32, 32)) for row in (2, 3))
    assert np.allclose(on, (15, 15), atol=1) and np.allclose(off, (2, 2), atol=1)
    assert not maps[4].any() and not maps[5].any()
    assert (maps[ODDS][maps[0] == 0] == -1).all() and maps[ODDS].max() <= 1
    coarse = np.zeros((64, 64), np.float32)
    coarse[:, 32:] = 1
    maps = prompt_maps(image, coarse=coarse)
    assert (maps[4, :, :16] == -1).all() and (maps[4, :, 16:] == 1).all() and (maps[5] == 1).all()
    assert not maps[:4].any()


def test_colours_lead_before_any_training(untrained: EmbeddedRefiner) -> None:
    image, truth = scene()
    untrained.set_image(image, 0)
    (candidate,) = untrained.refine(box=tight_box(truth))
    assert candidate.name == "box" and 0 <= candidate.predicted_iou <= 1
    assert intersection_over_union(candidate.mask, truth) > 0.9
    offered = untrained.refine(points=np.array([[70, 60]], np.float32), labels=np.ones(1, bool))
    assert {one.name for one in offered} <= {"points within 24 px", "points within 60 px"}
    assert max(intersection_over_union(one.mask, truth) for one in offered) > 0.8


def test_a_click_is_answered_by_different_masks_that_hold_it() -> None:
    net = fresh_net()
    torch.nn.init.normal_(net.out.weight, std=0.3)
    net.middle_out.bias.data[1:] = torch.tensor([-3.0, 0.0, 3.0])
    refiner = EmbeddedRefiner(net, SETUP, SMALL)
    image, _ = scene()
    refiner.set_image(image, 0)
    for x, y in ((70, 60), (20, 20), (159, 119)):
        offered = refiner.refine(points=np.array([[x, y]], np.float32), labels=np.ones(1, bool))
        assert offered and all(one.mask[y, x] for one in offered)
    assert len(refiner.refine(points=np.array([[70, 60]], np.float32), labels=np.ones(1, bool))) > 1


def test_a_coarse_mask_gives_candidates_that_the_gate_judges(untrained: EmbeddedRefiner) -> None:
    image, truth = scene()
    untrained.set_image(image, 0)
    coarse = cv2.dilate(truth.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert [one.name for one in untrained.refine(coarse=coarse)] == ["mask", "mask+point", "box"]
    mask, decision = refine_mask(untrained, coarse, RefineConfig())
    assert decision.action == "refine"
    assert intersection_over_union(mask, truth) > intersection_over_union(coarse, truth)


def test_a_quick_refinement_of_a_coarse_mask_is_the_first_of_all(untrained: EmbeddedRefiner) -> None:
    image, truth = scene()
    untrained.set_image(image, 0)
    coarse = cv2.dilate(truth.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    (quick,), first = untrained.refine(coarse=coarse, quick=True), untrained.refine(coarse=coarse)[0]
    assert quick.name == first.name == "mask" and np.array_equal(quick.mask, first.mask)


def test_a_box_is_looked_at_from_both_sides() -> None:
    """With one look plain and one mirrored from as far, a mirrored picture has the mirrored mask."""
    net = fresh_net()
    torch.nn.init.normal_(net.out.weight, std=0.5)  # or its answer is what the colours say, whatever the side
    refiner = EmbeddedRefiner(net, SETUP, dataclasses.replace(SMALL, box_margins=(0.2, 0.2)))
    image, truth = scene((60, 50))
    refiner.set_image(image, 0)
    (plain,) = refiner.refine(box=tight_box(truth))
    (single,) = refiner.refine(box=tight_box(truth), quick=True)
    x1, y1, x2, y2 = tight_box(truth)
    refiner.set_image(np.ascontiguousarray(image[:, ::-1]), 0)
    (turned,) = refiner.refine(box=np.array([160 - x2, y1, 160 - x1, y2], np.float32))
    assert np.array_equal(turned.mask[:, ::-1], plain.mask) and plain.mask.any()
    assert not np.array_equal(single.mask, plain.mask)


@pytest.mark.parametrize("centre", [(5, 60), (155, 60), (70, 3), (158, 118)], ids=["left", "right", "top", "corner"])
def test_box_at_and_beyond_the_border(untrained: EmbeddedRefiner, centre: tuple[int, int]) -> None:
    image, truth = scene(centre)
    untrained.set_image(image, 0)
    box = tight_box(truth)
    (candidate,) = untrained.refine(box=box)
    assert candidate.mask.shape == truth.shape and intersection_over_union(candidate.mask, truth) > 0.7
    beyond = np.where(box <= 0, -50, np.where(box >= [160, 120, 160, 120], 999, box)).astype(np.float32)
    assert np.array_equal(untrained.refine(box=beyond)[0].mask, candidate.mask)


def test_nothing_found_says_so() -> None:
    net = fresh_net()
    torch.nn.init.constant_(net.out.bias, -100.0)
    refiner = EmbeddedRefiner(net, SETUP, SMALL)
    image, truth = scene()
    refiner.set_image(image, 0)
    (from_box,) = refiner.refine(box=tight_box(truth))
    assert "inscribed ellipse instead" in from_box.reason and from_box.mask.any() and from_box.predicted_iou == 0
    assert all(np.array_equal(one.mask, truth) for one in refiner.refine(coarse=truth))
    points = refiner.refine(points=np.array([[2, 2]], np.float32), labels=np.ones(1, bool))
    assert all(one.mask.any() and "found nothing" in one.reason for one in points)


def test_parts_of_the_coarse_mask_stay_and_specks_go() -> None:
    coarse, found = np.zeros((2, 40, 60), bool)
    coarse[5:35, 5:25] = coarse[10:14, 40:50] = coarse[30:34, 40:50] = coarse[2:3, 57:59] = True
    found[6:34, 6:26] = True  # the body, moved by a pixel
    found[10:14, 41:49] = True  # a small part that the coarse mask has
    found[20:23, 50:56] = True  # a speck that it has not
    mask = with_parts_of(coarse, found)
    assert np.array_equal(mask[:, :30], found[:, :30]) and np.array_equal(mask[10:14], found[10:14])
    assert mask[30:34, 40:50].all()  # not found at all: stays as it was
    assert not mask[20:23, 50:56].any() and not mask[2, 57:59].any()
    assert not with_parts_of(coarse, np.zeros_like(coarse)).any()


def test_same_input_same_mask_whatever_came_before(untrained: EmbeddedRefiner) -> None:
    image, truth = scene()
    prompt = Prompt(0, 1, box=tight_box(truth))
    first = first_candidate(image, prompt, untrained)
    first_candidate(scene((40, 40))[0], prompt, untrained)
    again = first_candidate(image, prompt, untrained)
    assert np.array_equal(first.mask, again.mask) and first.predicted_iou == again.predicted_iou


@pytest.mark.parametrize(
    "prompt, message",
    [
        pytest.param({}, "at least one of", id="nothing"),
        pytest.param({"box": np.array([200, 0, 300, 50], np.float32)}, "outside the 160x120 frame", id="box-outside"),
        pytest.param({"coarse": np.zeros((120, 160), bool)}, "not empty", id="empty-mask"),
    ],
)
def test_bad_prompts(untrained: EmbeddedRefiner, prompt: dict, message: str) -> None:
    untrained.set_image(scene()[0], 0)
    with pytest.raises(InputError, match=message):
        untrained.refine(**prompt)


def test_weights_on_disk(tmp_path: Path) -> None:
    net = fresh_net()
    export(net.state_dict(), tmp_path / "net.safetensors", {"step": "0"})
    again = RefineNet.from_file(tmp_path / "net.safetensors", CPU)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in net.state_dict().items())
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="refiner's network"):
        RefineNet.from_file(tmp_path / "bad.safetensors", CPU)
