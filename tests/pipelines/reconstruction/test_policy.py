"""When the odometry accepts a rotation, and makes a key frame."""

import pytest

from pipelines.reconstruction import policy


@pytest.mark.parametrize(
    ("agreeing", "nearly", "still", "accepted"),
    [(1.0, 1.0, False, True), (0.6, 0.7, True, True), (0.7, 0.78, False, False), (0.4, 0.9, False, False)],
    ids=["pan", "tripod", "driving-under-clouds", "parallax"],
)
def test_when_a_rotation_is_accepted(agreeing, nearly, still, accepted):
    assert policy.only_rotated(agreeing, nearly, still) is accepted


def test_when_a_key_frame_is_due():
    assert not policy.needs_key_frame(10, 200, 220, 350, 0.1, 0.0)  # a camera at rest
    assert policy.needs_key_frame(10, 200, 220, 350, 0.1, 0.08)  # moved
    assert policy.needs_key_frame(10, 100, 220, 350, 0.1, 0.0)  # lost half of its corners
    assert not policy.needs_key_frame(1, 200, 220, 350, 9.0, 0.2)  # the last one is just behind
