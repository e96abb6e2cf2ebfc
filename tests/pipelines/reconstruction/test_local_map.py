"""The local map: what it keeps is bounded by its window."""

import numpy as np

from pipelines.reconstruction.local_map import LocalMap


def test_the_window_bounds_key_frames_and_landmarks():
    local = LocalMap(max_key_frames=7)
    for key_frame in range(60):  # of each hundred tracks thirty are new
        ids = np.arange(30 * key_frame, 30 * key_frame + 100)
        new = ids[~np.isin(ids, local.ids)]
        local.add(new, np.zeros((len(new), 3)))
        local.append(np.eye(4), ids, np.full((len(ids), 3), float(key_frame)))
        local.prune(ids)
        assert len(local) <= 7 and len(local.ids) <= 100 + 6 * 30
    assert len(local) == len(local.poses) == 7
    held = local.poses.nbytes + local.ids.nbytes + local.xyz.nbytes
    held += sum(array.nbytes for arrays in (local.seen_ids, local.measured) for array in arrays)
    assert held == 7 * 128 + 280 * 32 + 7 * 100 * 32  # 32 bytes a landmark, and a track of a key frame


def test_key_frames_that_left_the_window_say_nothing_more():
    local = LocalMap(max_key_frames=2)
    for key_frame in range(3):
        local.append(np.eye(4) * (key_frame + 1), np.array([5, 3]), np.full((2, 3), float(key_frame)))
    poses, xy, known = local.first_views(np.array([3, 4]))
    assert known.tolist() == [True, False]
    assert poses[0, 0, 0] == 2 and xy[0].tolist() == [1, 1]


def test_dropped_landmarks_have_no_coordinates():
    local = LocalMap()
    local.add(np.array([4, 2, 9]), np.arange(9.0).reshape(3, 3))
    local.drop(np.array([2]))
    np.testing.assert_array_equal(local.lookup(np.array([9, 2, 4])), [[6, 7, 8], [np.nan] * 3, [0, 1, 2]])
