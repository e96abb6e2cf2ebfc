from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamvos.errors import InputError
from streamvos.video.images import read_image
from streamvos.video.info import SourceConfig
from streamvos.video.sources import open_source


def save(path: Path, values: np.ndarray, mode: str | None = None) -> Path:
    Image.fromarray(values, mode).save(path)
    return path


GREY = np.array([[0, 100, 255]], np.uint8)
RGB = np.array([[[255, 0, 0], [0, 128, 0], [0, 0, 7]]], np.uint8)


def test_grey_is_repeated(tmp_path):
    image = read_image(save(tmp_path / "a.png", GREY))
    np.testing.assert_array_equal(image, np.repeat(GREY[..., None], 3, 2))


def test_alpha_is_dropped_and_the_colour_under_it_kept(tmp_path):
    rgba = np.dstack([RGB, np.array([[0, 128, 255]], np.uint8)])
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", rgba)), RGB)


def test_sixteen_bits_keep_the_upper_eight(tmp_path):
    deep = np.array([[0, 0x80FF, 0xFFFF]], np.uint16)
    image = read_image(save(tmp_path / "a.png", deep))
    np.testing.assert_array_equal(image[..., 0], [[0, 0x80, 0xFF]])
    np.testing.assert_array_equal(image[..., 0], image[..., 2])


@pytest.mark.parametrize("transparent", [False, True], ids=["opaque", "transparent"])
def test_palette_gives_its_colours(tmp_path, transparent):
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    picture.putpalette(RGB.reshape(-1, 3).tobytes())
    picture.save(tmp_path / "a.png", **({"transparency": 1} if transparent else {}))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)


def test_one_bit_becomes_black_and_white(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[..., 1], [[0, 255]])


def test_exif_orientation_is_applied(tmp_path):
    picture = Image.new("RGB", (30, 20))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (30, 20, 3)
    with open_source(tmp_path) as source:
        assert (source.info.height, source.info.width) == (30, 20) and next(source).size == (30, 20)


def test_floats_are_refused(tmp_path):
    save(tmp_path / "a.tif", np.zeros((2, 2), np.float32))
    with pytest.raises(InputError, match="floats of unknown range"):
        read_image(tmp_path / "a.tif")


def test_folder_is_read_in_natural_order_at_the_given_rate(tmp_path):
    for index in (10, 9, 0, 1, 2):
        save(tmp_path / f"frame{index}.png", np.full((5, 7), index, np.uint8))
    (tmp_path / ".hidden.png").write_text("no")
    (tmp_path / "notes.txt").write_text("no")
    with open_source(tmp_path, config=SourceConfig(image_rate="30000/1001")) as source:
        frames = list(source)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [0, 1, 2, 9, 10]
    assert [frame.time_s for frame in frames] == [float(Fraction(1001 * i, 30000)) for i in range(5)]
    assert source.info.rate == Fraction(30000, 1001) and source.info.num_frames == 5


@pytest.mark.parametrize("spec", ["folder", "glob", "single"])
def test_folder_glob_and_single_image(tmp_path, spec):
    for index in range(3):
        save(tmp_path / f"{index}.png", np.full((4, 4), index, np.uint8))
    place = {"folder": tmp_path, "glob": f"{tmp_path}/[12].png", "single": tmp_path / "1.png"}[spec]
    expected = {"folder": [0, 1, 2], "glob": [1, 2], "single": [1]}[spec]
    with open_source(place) as source:
        assert [int(frame.image[0, 0, 0]) for frame in source] == expected


def test_start_index_and_max_frames(tmp_path):
    for index in range(6):
        save(tmp_path / f"{index}.png", np.full((4, 4), index, np.uint8))
    with open_source(tmp_path, start_index=2, max_frames=4) as source:
        frames = list(source)
    assert [(frame.index, frame.time_s) for frame in frames] == [(2, 2 / 24), (3, 3 / 24)]


def test_mixed_sizes_name_both_files_and_sizes(tmp_path):
    save(tmp_path / "a.png", np.zeros((4, 6), np.uint8))
    save(tmp_path / "b.png", np.zeros((4, 7), np.uint8))
    with pytest.raises(InputError, match=r"a\.png' is 6x4.*b\.png' is 7x4"):
        open_source(tmp_path)


@pytest.mark.parametrize("kind", ["folder", "rgbd"])
def test_an_image_that_has_grown_since_it_was_looked_at_is_refused_before_it_is_decoded(tmp_path, kind):
    names = [f"{number:02}.png" if kind == "folder" else f"frame-{number:06}.color.png" for number in range(9)]
    for name in names:
        Image.new("RGB", (96, 64)).save(tmp_path / name)
        if kind == "rgbd":
            Image.new("I;16", (96, 64)).save(tmp_path / name.replace("color", "depth"))
    if kind == "rgbd":
        (tmp_path / "camera-intrinsics.txt").write_text("585 0 320\n0 585 240\n0 0 1\n")
    with open_source(tmp_path, config=SourceConfig(max_pixels=96 * 64, prefetch_frames=1)) as source:
        assert source.info.kind == ("images" if kind == "folder" else "rgbd")
        next(source)
        Image.new("RGB", (960, 640)).save(tmp_path / names[-1])
        with pytest.raises(InputError, match=f"{names[-1]}.*960x640 pixels; expected at most 6144"):
            for frame in source:
                assert frame.size == (64, 96)


def test_a_rate_that_is_none():
    with pytest.raises(InputError, match="image_rate: expected a positive rate"):
        SourceConfig(image_rate="fast")


@pytest.mark.parametrize("kind", ["empty folder", "no match", "text", "cut"])
def test_bad_input(tmp_path, kind):
    spec = tmp_path
    if kind == "empty folder":
        message = "holds no images"
    elif kind == "no match":
        spec, message = f"{tmp_path}/*.png", "no image matches"
    elif kind == "text":
        (tmp_path / "a.png").write_text("no picture")
        message = "is not an image"
    else:
        path = save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
        path.write_bytes(path.read_bytes()[:900])
        message = "is damaged"
    with pytest.raises(InputError, match=message) as caught, open_source(spec) as source:
        list(source)
    assert "\n" not in str(caught.value)
