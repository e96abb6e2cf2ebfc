"""The kinds of clips that the tracker learns from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.training.camera import held_by_hand
from pipelines.training.clip_kinds import KINDS, ClipMix, make_clip_of_kind, make_mixed_clip
from pipelines.training.clips import make_clip
from pipelines.training.datasets import Picture, Region
from pipelines.training.layers import Layer
from pipelines.training.motion import NEARING_MOTION, OBJECT_MOTION, Course, wander
from pipelines.training.picture_pool import PicturePool
from pipelines.training.pieces import ClipConfig

CONFIG = ClipConfig(num_frames=5, size_px=96)
MIX = ClipMix()


@pytest.fixture(scope="module")
def pool(pictures: list[Picture]) -> PicturePool:
    return PicturePool(pictures)


@pytest.mark.parametrize("kind", KINDS)
def test_clips_of_every_kind_are_exact_and_the_same_for_a_seed(pool: PicturePool, kind: str) -> None:
    for seed in range(8):
        one, two = (make_clip_of_kind(np.random.default_rng(seed), pool, CONFIG, MIX, kind) for _ in range(2))
        assert np.array_equal(one.frames, two.frames) and np.array_equal(one.masks, two.masks)
        assert one.frames.shape == (5, 96, 96, 3) and 1 <= one.masks.shape[1] <= MIX.max_followed
        assert one.masks.sum(axis=1).max() <= 1 and one.masks[0].any(axis=(1, 2)).all()


def test_things_that_meet_are_of_one_class_and_several(pool: PicturePool) -> None:
    for seed in range(10):
        pieces = pool.of_one_class(np.random.default_rng(seed), 4)
        assert len(pieces) == 4 and len({region.name for _, region in pieces}) == 1
    clips = [make_clip_of_kind(np.random.default_rng(s), pool, CONFIG, MIX, "encounter") for s in range(12)]
    assert np.mean([clip.masks.shape[1] >= 2 for clip in clips]) > 0.7


def test_a_visitor_is_away_for_a_while(pool: PicturePool) -> None:
    clips = [make_clip_of_kind(np.random.default_rng(s), pool, CONFIG, MIX, "visit") for s in range(12)]
    assert np.mean([(clip.masks.sum(axis=(2, 3)) < 10).any() for clip in clips]) > 0.5


def test_small_things_are_small(pool: PicturePool) -> None:
    still = replace(MIX, nearing_share=0.0)
    clips = [make_clip_of_kind(np.random.default_rng(s), pool, CONFIG, still, "thin") for s in range(12)]
    assert max(clip.masks[0].mean(axis=(1, 2)).max() for clip in clips) < 0.03


def test_a_thin_thing_is_known_by_its_shape() -> None:
    masks = {"bar": np.zeros((60, 120), bool), "box": np.zeros((60, 120), bool)}
    masks["bar"][20:24, 10:110], masks["box"][10:40, 10:40] = True, True
    image = np.zeros((60, 120, 3), np.uint8)
    regions = tuple(Region(name, mask) for name, mask in masks.items())
    assert [region.name for _, region in PicturePool([Picture(image, regions, regions)]).thin] == ["bar"]


def test_plates_do_not_show_what_is_put_before_them() -> None:
    mask = np.ones((40, 40), bool)
    image = np.zeros((40, 40, 3), np.uint8)
    cats, dogs, unknown = (
        Picture(image, (Region(name, mask),), (Region(name, mask),), None, frozenset([name]), complete)
        for name, complete in (("cat", True), ("dog", True), ("bird", False))
    )
    pool = PicturePool([cats, dogs, unknown])
    assert all(pool.plate(np.random.default_rng(seed), "cat") is dogs for seed in range(20))


def test_drawn_objects_are_cut_out_and_never_a_background(pictures: list[Picture]) -> None:
    drawn = replace(pictures[0], has_surroundings=False)
    pool = PicturePool([drawn, *pictures[1:]])
    assert len(pool.plates) == len(pictures) - 1
    assert any(pool.cut_out(np.random.default_rng(seed))[0] is drawn for seed in range(200))


def test_void_is_followed_with_the_picture_and_hidden_with_it() -> None:
    mask, void = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    mask[30:70, 20:50], void[30:70, 50:80] = True, True
    image = np.where(void[..., None], 255, 0).astype(np.uint8).repeat(3, axis=2)
    region = Region("box", mask)
    config = replace(CONFIG, whole_share=1.0, distractor_share=0.0, occluder_share=0.0, blur_share=0.0, grey_share=0.0)
    clip = make_clip(np.random.default_rng(5), [Picture(image, (region,), (region,), void=void)], config)
    bright = clip.frames.mean(axis=3) > 100
    assert clip.void is not None and (bright & (clip.void > 0)).sum() / (bright | (clip.void > 0)).sum() > 0.95
    assert not (clip.masks[:, 0] & clip.void).any()


def test_a_hand_held_camera_moves_near_things_more_than_far_ones() -> None:
    unmoved = np.tile([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]], (6, 1, 1))
    still = Course(unmoved, np.zeros((2, 64, 64), np.float32), np.zeros(6))
    image = np.zeros((64, 64, 3), np.uint8)
    far = Layer(image, None, (), still, np.ones(6, bool))
    near = Layer(image, np.zeros((64, 64), np.uint8), (), still, np.ones(6, bool))
    moved = [held_by_hand(np.random.default_rng(seed), [far, near], 64) for seed in range(40)]
    shifts = [[np.abs(layer.path.source_from_canvas[-1, :, 2]).mean() for layer in layers] for layers in moved]
    assert all((layer.path.source_from_canvas[0] == still.source_from_canvas[0]).all() for m in moved for layer in m)
    assert np.mean([near > far for far, near in shifts]) > 0.6 and np.mean(shifts) > 1.0


def test_near_things_grow_up_to_threefold() -> None:
    def largest(motion: object) -> float:
        scales = []
        for seed in range(200):
            course = wander(np.random.default_rng(seed), 4, 32, (0, 0), (16, 16), 10.0, motion)
            zoom = 1 / np.sqrt(np.abs(np.linalg.det(course.source_from_canvas[:, :, :2])))
            scales.append(zoom.max() / zoom.min())
        return max(scales)

    assert largest(OBJECT_MOTION) < 2.8 < largest(NEARING_MOTION)


def test_the_mixture_has_all_kinds_of_clips(pool: PicturePool) -> None:
    mix = ClipMix(encounter_share=1.0, visit_share=0.0, thin_share=0.0, degraded_share=0.0)
    mixed = make_mixed_clip(np.random.default_rng(3), pool, CONFIG, mix)
    rng = np.random.default_rng(3)
    rng.choice(4, p=[0.0, 1.0, 0.0, 0.0])
    assert np.array_equal(mixed.frames, make_clip_of_kind(rng, pool, CONFIG, mix, "encounter").frames)
