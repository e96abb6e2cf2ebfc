from __future__ import annotations

import numpy as np
import pytest

from apps.live import camera
from apps.live.camera import BrowserCamera
from apps.live.history import encode_jpeg
from streamvos.errors import InputError


def jpeg(level: int, size: tuple[int, int] = (48, 64)) -> bytes:
    return encode_jpeg(np.full((*size, 3), level, np.uint8), 95)


def test_the_newest_picture_wins_and_drops_are_counted():
    source = BrowserCamera()
    for level in (10, 60, 120):
        source.push(jpeg(level))
    assert (source.wait().info.width, source.info.height) == (64, 48)
    frame = next(source)
    assert frame.index == 0 and abs(frame.image.mean() - 120) < 3 and source.num_dropped == 2
    source.push(jpeg(30))
    again = next(source)
    assert again.index == 1 and again.time_s > frame.time_s and source.info.is_live


def test_a_run_that_goes_on_has_later_frames_and_times():
    source = BrowserCamera(start_index=7, start_time_s=5.0)
    source.push(jpeg(10))
    frame = next(source)
    assert frame.index == 7 and frame.time_s >= 5.0


BAD = {
    "no picture": (b"<svg onload=alert(1)>", "damaged picture"),
    "empty": (b"", "damaged picture"),
    "cut": (jpeg(10)[:20], "damaged picture"),
    "a png": (b"\x89PNG\r\n\x1a\n" + bytes(50), "damaged picture"),
    "a bomb": (jpeg(10).replace(b"\x08\x00\x30\x00\x40", b"\x08\xff\xdc\xff\xdc"), "picture of the camera"),
    "too large a picture": (jpeg(10, (16, 4000)), "4000x16 pixels; expected 16 to 1920"),
    "too many bytes": (jpeg(10) + bytes(camera.MAX_BYTES), "at most 4 are taken"),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD.keys())
def test_bad_pictures_are_skipped_with_a_warning(data, message):
    source = BrowserCamera()
    for _ in range(30):
        source.push(data)
    source.push(jpeg(50))
    assert next(source).index == 0
    assert len(source.warnings) == 1 and message in source.warnings[0]


def test_a_picture_damaged_behind_its_header_is_skipped():
    source, good = BrowserCamera(), jpeg(50)
    source.push(good)
    assert next(source).index == 0
    source.push(good[: len(good) // 2])
    source.push(good)
    assert next(source).index == 1


def test_another_size_is_scaled_to_the_first():
    source = BrowserCamera()
    source.push(jpeg(50))
    next(source)
    source.push(jpeg(90, (96, 128)))
    assert next(source).size == (48, 64)


def test_no_picture_at_all(monkeypatch):
    monkeypatch.setattr(camera, "_FIRST_WITHIN_S", 0.01)
    with pytest.raises(InputError, match="allow this page to use it"):
        BrowserCamera().wait()


def test_a_camera_that_falls_silent_is_lost(monkeypatch):
    monkeypatch.setattr(camera, "_SILENT_S", 0.01)
    source = BrowserCamera()
    source.push(jpeg(1))
    next(source)
    with pytest.raises(InputError, match="was it unplugged"):
        next(source)


def test_closing_ends_the_wait():
    source = BrowserCamera()
    source.push(jpeg(1))
    next(source)
    source.close()
    with pytest.raises(StopIteration):
        next(source)
