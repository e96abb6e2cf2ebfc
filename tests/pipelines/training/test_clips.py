"""Made-up clips: exact, bounded, and the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.training.clips import ClipConfig, crop_clip, make_clip
from pipelines.training.datasets import Picture, Region
from pipelines.training.motion import OBJECT_MOTION, wander, warp_maps

CONFIG = ClipConfig(num_frames=4, size_px=96)


def test_the_same_seed_gives_the_same_clip(pictures: list[Picture]) -> None:
    one, two = (make_clip(np.random.default_rng([3, 1]), pictures, CONFIG) for _ in range(2))
    other = make_clip(np.random.default_rng([3, 2]), pictures, CONFIG)
    assert np.array_equal(one.frames, two.frames) and np.array_equal(one.masks, two.masks)
    assert not np.array_equal(one.frames, other.frames)


def test_shapes_ranges_and_disjoint_masks(pictures: list[Picture]) -> None:
    for seed in range(25):
        clip = make_clip(np.random.default_rng(seed), pictures, CONFIG)
        assert clip.frames.shape == (4, 96, 96, 3) and clip.frames.dtype == np.uint8
        assert clip.masks.shape[0] == 4 and clip.masks.shape[2:] == (96, 96) and 1 <= clip.masks.shape[1] <= 3
        assert clip.masks.dtype == np.uint8 and clip.masks.sum(axis=1).max() <= 1
        assert (clip.masks[0].mean(axis=(1, 2)) > 0.004).all(), f"seed {seed}: nothing to follow at first"


def test_an_object_may_leave_and_its_mask_is_empty_then(pictures: list[Picture]) -> None:
    config = replace(CONFIG, whole_share=0.0, absence_share=1.0)
    clips = [make_clip(np.random.default_rng(seed), pictures, config) for seed in range(6)]
    assert all((clip.masks.sum(axis=(2, 3)) == 0).any() for clip in clips)


def test_the_mask_follows_the_object() -> None:
    """A bright disc on black, no look-alikes: bright pixels and the mask are the same place in every frame."""
    mask = np.zeros((100, 100), bool)
    mask[30:70, 35:65] = True
    image = np.where(mask[..., None], 255, 0).astype(np.uint8).repeat(3, axis=2)
    region = Region("box", mask)
    config = replace(CONFIG, whole_share=1.0, distractor_share=0.0, occluder_share=0.0, blur_share=0.0)
    clip = make_clip(np.random.default_rng(5), [Picture(image, (region,), (region,))], config)
    bright = clip.frames.mean(axis=3) > 128
    overlap = (bright & (clip.masks[:, 0] > 0)).sum() / (bright | (clip.masks[:, 0] > 0)).sum()
    assert overlap > 0.95


def test_a_shadow_darkens_what_lies_below_and_is_not_followed() -> None:
    """A white box over its own white picture: only its shadow can be seen, beside the mask."""
    mask = np.zeros((100, 100), bool)
    mask[30:70, 35:65] = True
    picture = Picture(np.full((100, 100, 3), 255, np.uint8), (region := Region("box", mask),), (region,))
    plain = replace(CONFIG, whole_share=0.0, parallax_share=1.0, distractor_share=0.0, occluder_share=0.0)
    plain = replace(plain, absence_share=0.0, turn_share=0.0, blur_share=0.0, shadow_share=0.0)
    without, with_shadow = (
        make_clip(np.random.default_rng(3), [picture], replace(plain, shadow_share=share)) for share in (0.0, 1.0)
    )
    lost = without.frames[0].mean(axis=2) - with_shadow.frames[0].mean(axis=2)
    outside = without.masks[0, 0] == 0
    assert lost[outside].max() > 40 and (with_shadow.masks[0] == without.masks[0]).all()


def test_two_objects_that_move_apart_may_be_one(pictures: list[Picture]) -> None:
    config = replace(CONFIG, whole_share=0.0, parallax_share=0.0, absence_share=0.0)
    num_merged = 0
    for seed in range(20):
        apart, merged = (
            make_clip(np.random.default_rng(seed), pictures, replace(config, merged_share=share))
            for share in (0.0, 1.0)
        )
        assert (apart.masks.sum(axis=1) == merged.masks.sum(axis=1)).all()
        assert merged.masks.shape[1] == max(1, apart.masks.shape[1] - 1)
        num_merged += apart.masks.shape[1] > 1
    assert num_merged


def test_the_course_starts_where_it_is_told() -> None:
    course = wander(np.random.default_rng(0), 3, 64, (20.0, 30.0), (32.0, 32.0), 10.0, OBJECT_MOTION)
    still = course.__class__(course.source_from_canvas, course.field, np.zeros(3))
    map_x, map_y = warp_maps(still, 0)
    assert map_x[32, 32] == pytest.approx(20.0, abs=1e-3) and map_y[32, 32] == pytest.approx(30.0, abs=1e-3)


def test_a_real_clip_is_cropped_around_its_objects() -> None:
    labels = [np.zeros((60, 90), np.uint8) for _ in range(3)]
    for index, label in enumerate(labels):
        label[20:40, 30 + index : 50 + index] = 7
    frames = [np.full((60, 90, 3), 10 * index, np.uint8) for index in range(3)]
    clip = crop_clip(np.random.default_rng(0), frames, labels, 64)
    assert clip.frames.shape == (3, 64, 64, 3) and clip.masks.shape == (3, 1, 64, 64)
    assert clip.masks[0].any()
    assert crop_clip(np.random.default_rng(0), frames, [np.zeros((60, 90), np.uint8)] * 3, 64) is None
