"""From pixels to points: by the ground under an object, and which points a camera looked through."""

import numpy as np
import pytest

from pipelines.reconstruction.points import looked_through, of_object_by_ground


def test_an_object_takes_its_distance_from_the_ground_under_it_or_none():
    mask = np.zeros((100, 100), bool)
    mask[30:70, 40:60] = True
    image = np.zeros((100, 100, 3), np.uint8)
    matrix = np.array([[100.0, 0, 50], [0, 100, 50], [0, 0, 1]])
    xy = np.array([[42.0 + 3 * step, 72] for step in range(6)])
    flat = of_object_by_ground(mask, xy, np.full(6, 3.0), image, np.eye(4), matrix, 50)
    assert len(flat.xyz) == 50 and flat.xyz[:, 2] == pytest.approx(3.0)
    torn = of_object_by_ground(mask, xy, np.array([1, 2, 4, 8, 9, 3.0]), image, np.eye(4), matrix, 50)
    few = of_object_by_ground(mask, xy[:3], np.full(3, 3.0), image, np.eye(4), matrix, 50)
    mask[70:] = True  # its feet are out of the picture
    cut_off = of_object_by_ground(mask, xy, np.full(6, 3.0), image, np.eye(4), matrix, 50)
    assert len(torn.xyz) == len(few.xyz) == len(cut_off.xyz) == 0


def test_points_before_a_measured_surface_were_looked_through():
    depth = np.full((60, 60), 3.0, np.float32)
    depth[:, 40:] = 0  # unknown
    matrix = np.array([[60.0, 0, 30], [0, 60, 30], [0, 0, 1]])
    xyz = np.array([[0, 0, 2.0], [0, 0, 3.0], [0, 0, 5.0], [0.8, 0, 2.0], [0, 0, -1.0]])
    assert looked_through(xyz, np.eye(4), depth, matrix).tolist() == [True, False, False, False, False]
