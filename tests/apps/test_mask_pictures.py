"""Masks as people have them: void, trimaps, soft edges, JPEG, colours."""

import cv2
import numpy as np
import pytest
from PIL import Image

from apps.mask_pictures import read_mask_picture
from streamvos.errors import InputError
from streamvos.masks import davis_palette

SIZE = (96, 160)


def ids() -> np.ndarray:
    labels = np.zeros(SIZE, np.uint8)
    cv2.circle(labels, (40, 48), 20, 1, -1)
    labels[30:60, 100:140] = 2
    return labels


def ringed(labels) -> np.ndarray:
    out, there = labels.copy(), (labels > 0).astype(np.uint8)
    out[cv2.dilate(there, np.ones((7, 7))) - there > 0] = 255
    return out


def disc(value=255) -> np.ndarray:
    return np.where(ids() == 1, value, 0).astype(np.uint8)


def read(tmp_path, image, name="mask.png", **options):
    image.save(tmp_path / name, **options)
    return read_mask_picture(tmp_path / name)


def with_palette(labels, palette=None) -> Image.Image:
    image = Image.fromarray(labels).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette((davis_palette() if palette is None else palette).ravel().tolist())
    return image


@pytest.mark.parametrize("make", [with_palette, Image.fromarray], ids=["palette", "grey"])
def test_a_ring_of_255_is_void(tmp_path, make):
    np.testing.assert_array_equal(read(tmp_path, make(ringed(ids()))), ids())


def test_all_255_is_void_beside_davis_colours(tmp_path):
    labels = ids()
    labels[:10] = 255
    np.testing.assert_array_equal(read(tmp_path, with_palette(labels)), ids())


def test_255_is_an_object_where_it_rings_nothing(tmp_path):
    labels = ids()
    labels[:25, 60:90] = 255
    np.testing.assert_array_equal(read(tmp_path, Image.fromarray(labels)), labels)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1"])
def test_black_and_white_is_object_1_in_any_mode(tmp_path, mode):
    np.testing.assert_array_equal(read(tmp_path, Image.fromarray(disc()).convert(mode)), disc() > 0)


def test_what_is_transparent_is_background(tmp_path):
    colours = np.zeros((*SIZE, 4), np.uint8)
    colours[..., :3] = 255
    colours[..., 3] = disc()
    np.testing.assert_array_equal(read(tmp_path, Image.fromarray(colours)), disc() > 0)


def test_davis_colours_without_the_palette(tmp_path):
    picture = davis_palette()[ringed(ids())]
    np.testing.assert_array_equal(read(tmp_path, Image.fromarray(picture)), ids())


def test_ids_of_16_bits_and_many_ids_stay(tmp_path):
    many = np.zeros(SIZE, np.uint16)
    for index in range(60):
        many[9 * (index // 15) : 9 * (index // 15) + 6, 10 * (index % 15) : 10 * (index % 15) + 6] = 1 + index
    np.testing.assert_array_equal(read(tmp_path, Image.fromarray(many)), many)
    np.testing.assert_array_equal(read(tmp_path, Image.fromarray(many.astype(np.uint8))), many)
    np.testing.assert_array_equal(read(tmp_path, Image.fromarray(many * 1000)), many * 1000)


def blurred(sigma):
    return Image.fromarray(cv2.GaussianBlur(disc(), (0, 0), sigma))


def trimap(grey):
    out = ringed(disc(1))
    return Image.fromarray(np.where(out == 255, grey, np.where(out == 1, 255, 0)).astype(np.uint8))


def smaller():
    return Image.fromarray(disc()).resize((80, 48), Image.BILINEAR)


SOFT = r"grey levels: soft edges or JPEG\? give 0 and 255, or ids"


@pytest.mark.parametrize(
    ("image", "name", "message"),
    [
        (blurred(1), "mask.png", SOFT),
        (blurred(6), "mask.png", SOFT),
        (smaller(), "mask.png", SOFT),
        (Image.fromarray(disc()), "mask.jpg", SOFT),
        (blurred(2).convert("RGB"), "mask.png", SOFT),
        (trimap(128), "mask.png", r"0, 128 and 255: a trimap\? give 0 and 255 "),
        (trimap(127), "mask.png", r"0, 127 and 255: a trimap"),
        (Image.fromarray(np.full((9, 9, 3), (1, 2, 3), np.uint8)), "mask.png", r"not those of DAVIS \(#010203\)"),
        (Image.fromarray(disc()).convert("CMYK"), "mask.jpg", "mode CMYK"),
    ],
    ids=["antialias", "blur", "resized", "jpeg", "rgb blur", "trimap", "trimap 127", "colours", "cmyk"],
)
def test_what_can_be_read_in_several_ways_is_asked_about(tmp_path, image, name, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, image, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [40, 100, 200])
def test_a_damaged_picture_is_one_line(tmp_path, cut):
    Image.fromarray(ids()).save(tmp_path / "whole.png")
    (tmp_path / "mask.png").write_bytes((tmp_path / "whole.png").read_bytes()[:cut])
    with pytest.raises(InputError, match="cannot be read as a picture"):
        read_mask_picture(tmp_path / "mask.png")


def test_a_header_that_speaks_of_too_many_pixels(tmp_path):
    Image.new("1", (9000, 9000)).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="at most 67108864 pixels, got 9000x9000"):
        read_mask_picture(tmp_path / "mask.png")
