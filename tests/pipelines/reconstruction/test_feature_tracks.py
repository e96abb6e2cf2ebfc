"""Corners, and how they are followed."""

import cv2
import numpy as np
import pytest

from pipelines.reconstruction.feature_tracks import FeatureTracks, corners, corners_to_match, covered_cells, spread


def test_corners_are_where_texture_is_and_nowhere_else():
    rng = np.random.default_rng(0)
    picture = np.full((120, 160), 128, np.uint8)
    picture[20:100, 80:150] = rng.integers(0, 256, (80, 70))
    found = corners(picture, np.ones(picture.shape, np.uint8), 100, 6, 4e-5)
    assert len(found) > 20 and found[:, 0].min() > 75


@pytest.mark.parametrize("sigma", [0.5, 1.5, 3.0])
def test_noise_has_no_corners(sigma):
    noise = np.random.default_rng(0).normal(128, sigma, (240, 320)).clip(0, 255).astype(np.uint8)
    assert len(corners(noise, np.ones(noise.shape, np.uint8), 100, 6, 4e-5)) < 5


def test_spread_fills_cells_evenly():
    crowd = np.random.default_rng(0).uniform(0, 20, (500, 2)).astype(np.float32)
    elsewhere = np.array([[150, 100]], np.float32)
    chosen = spread(np.concatenate([crowd, elsewhere]), np.zeros((0, 2), np.float32), (120, 160), 96)
    assert len(chosen) < 10 and [150, 100] in chosen.tolist()
    assert covered_cells(chosen, (120, 160)) == len(chosen)


def test_tracks_follow_a_shift_and_ids_are_never_reused():
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (200, 260)).astype(np.uint8), (0, 0), 2)
    before, now = texture[20:140, 20:180], texture[17:137, 25:185]
    tracks = FeatureTracks(60, 8, 1e-6)
    tracks.refill(before, np.ones(before.shape, bool))
    start = dict(zip(tracks.ids.tolist(), tracks.xy.copy(), strict=True))
    assert len(start) > 30
    tracks.follow(before, now)
    shift = [xy - start[one] for one, xy in zip(tracks.ids.tolist(), tracks.xy, strict=True)]
    assert np.median(shift, axis=0) == pytest.approx([-5, 3], abs=0.1)
    tracks.clear()
    assert not set(tracks.refill(now, np.ones(now.shape, bool)).tolist()) & set(start)


def test_tracks_stay_within_their_number():
    picture = np.random.default_rng(0).integers(0, 256, (240, 320)).astype(np.uint8)
    tracks = FeatureTracks(50)
    for _ in range(5):
        tracks.refill(picture, np.ones(picture.shape, bool))
        tracks.keep(np.arange(len(tracks)) % 3 > 0)
    tracks.refill(picture, np.ones(picture.shape, bool))
    assert len(tracks) == 50
    assert len(corners_to_match(picture, np.ones(picture.shape, bool), 50)) <= 100
