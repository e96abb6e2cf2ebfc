"""Masks as run lengths, boxes and pictures."""

from __future__ import annotations

import numpy as np
import pytest

from streamvos import masks
from streamvos.records import ObjectMasks

SHAPES = {
    "noise": np.random.default_rng(0).random((37, 53)) > 0.5,
    "empty": np.zeros((5, 7), bool),
    "full": np.ones((5, 7), bool),
    "one row": np.random.default_rng(1).random((1, 90)) > 0.3,
    "rows in Fortran order": np.asfortranarray(np.random.default_rng(2).random((8, 9)) > 0.5),
}


@pytest.mark.parametrize("mask", SHAPES.values(), ids=SHAPES.keys())
def test_run_lengths_come_back(mask: np.ndarray) -> None:
    rle = masks.encode(mask)
    assert rle["size"] == list(mask.shape)
    back = masks.decode(rle)
    assert back.dtype == bool and np.array_equal(back, mask)
    assert masks.area_px(rle) == mask.sum()


def test_tight_box_ends_behind_the_last_pixel() -> None:
    mask = np.zeros((10, 20), bool)
    mask[2, 5] = mask[7, 11] = True
    assert masks.tight_box(mask).tolist() == [5, 2, 12, 8]
    assert masks.tight_box(np.ones((3, 4), bool)).tolist() == [0, 0, 4, 3]
    assert masks.tight_box(np.zeros((3, 4), bool)).tolist() == [0, 0, 0, 0]


def test_label_map_paints_ids() -> None:
    left, right = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    left[:, :2], right[1:3, 4:] = True, True
    together = ObjectMasks(
        (4, 6),
        np.array([3, 700], np.int64),
        (masks.encode(left), masks.encode(right)),
        np.stack([masks.tight_box(left), masks.tight_box(right)]),
        np.ones(2, np.float32),
        ("tracked", "tracked"),
        ("", ""),
    )
    picture = masks.label_map(together)
    assert picture.dtype == np.uint16
    assert np.array_equal(picture == 3, left) and np.array_equal(picture == 700, right)


def test_davis_palette_has_the_published_colours() -> None:
    palette = masks.davis_palette()
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 20: (0, 64, 128)}
    for index, colour in {**known, 255: (224, 224, 192)}.items():
        assert tuple(palette[index].tolist()) == colour
    assert len({tuple(colour) for colour in palette.tolist()}) == 256
