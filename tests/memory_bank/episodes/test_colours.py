"""Names of colours on pixels whose name nobody would argue about."""

import numpy as np
import pytest

from memory_bank.episodes.colours import colour_name


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((220, 20, 20), "red"),
        ((30, 60, 220), "blue"),
        ((30, 160, 40), "green"),
        ((240, 220, 30), "yellow"),
        ((250, 140, 20), "orange"),
        ((110, 70, 30), "brown"),
        ((128, 128, 128), "grey"),
        ((250, 250, 250), "white"),
        ((10, 10, 12), "black"),
        ((250, 150, 180), "pink"),
        ((140, 40, 200), "purple"),
        ((40, 210, 220), "cyan"),
    ],
)
def test_plain_colours(rgb, name):
    assert colour_name(np.full((50, 3), rgb, np.uint8)) == name


def test_most_pixels_win_not_their_mean():
    pixels = np.array([(220, 20, 20)] * 60 + [(250, 250, 250)] * 40, np.uint8)
    assert colour_name(pixels) == "red"  # the mean is a pink
    assert colour_name(np.zeros((0, 3), np.uint8)) is None
