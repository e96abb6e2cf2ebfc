import numpy as np
import pytest
from PIL import Image

from streamvos.errors import InputError
from streamvos.video.info import SourceConfig
from streamvos.video.sources import open_source

DURATIONS = [100, 40, 60, 500, 40]
TIMES = [0, 0.1, 0.14, 0.2, 0.7]


def pictures(picture, count=5):
    return [Image.fromarray(picture(index)) for index in range(count)]


def save(path, images, **options):
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    return path


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.webp", "WEBP"), ("a.png", "PNG"), ("a.gif", "GIF"), ("gif.png", "GIF"), ("apng.webp", "PNG")],
)
def test_animations_are_films_at_their_own_times(tmp_path, picture, number, name, form):
    options = {"lossless": True} if form == "WEBP" else {}
    path = save(tmp_path / name, pictures(picture), format=form, duration=DURATIONS, **options)
    with open_source(path) as source:
        frames = list(source)
    assert [number(frame.image) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time_s for frame in frames] == pytest.approx(TIMES)
    with open_source(path, start_index=2, max_frames=4) as source:
        assert [(frame.index, number(frame.image)) for frame in source] == [(2, 2), (3, 3)]


def test_pictures_that_are_shown_for_no_time_take_that_of_browsers(tmp_path, picture):
    path = save(tmp_path / "a.webp", pictures(picture, 3), duration=0, lossless=True)
    with open_source(path) as source:
        assert [frame.time_s for frame in source] == pytest.approx([0, 0.1, 0.2])


def test_pages_of_a_tiff_are_frames_at_the_rate_of_images(tmp_path, picture, number):
    path = save(tmp_path / "stack.tif", pictures(picture), compression="tiff_lzw")
    with open_source(path, config=SourceConfig(image_rate="10")) as source:
        frames = list(source)
    assert [number(frame.image) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert source.info.num_frames == 5 and source.info.kind == "images" and source.warnings == []


def test_smaller_copies_in_a_tiff_are_no_frames(tmp_path, picture):
    image = pictures(picture, 1)[0]
    path = save(tmp_path / "pyramid.tif", [image, image.resize((48, 32)), image.resize((24, 16))])
    with open_source(path) as source:
        assert len(list(source)) == 1
    assert "2 pages are of another size" in source.warnings[0]


def test_stacks_in_a_folder_give_their_first_pictures_and_say_so(tmp_path, picture, number):
    for index in range(3):
        save(tmp_path / f"{index}.tif", [Image.fromarray(picture(10 * index + page)) for page in range(2)])
    with open_source(tmp_path) as source:
        assert [number(frame.image) for frame in source] == [0, 10, 20]
    assert "3 of the files hold several pictures" in source.warnings[0]


def test_a_phone_picture_with_a_second_one_is_one_picture(tmp_path, picture):
    path = save(tmp_path / "phone.jpg", pictures(picture, 2), format="MPO")
    with open_source(path) as source:
        assert len(list(source)) == 1
    assert source.warnings == []


@pytest.mark.parametrize("suffix", ["webp", "tif", "png"])
def test_damaged_stacks_end_with_one_clear_line(tmp_path, picture, suffix):
    path = save(tmp_path / f"a.{suffix}", pictures(picture))
    whole, random = path.read_bytes(), np.random.default_rng(2)
    for _ in range(40):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 8)):
            data[place] = random.integers(0, 256)
        path.write_bytes(data[: random.integers(1, len(data) + 1)])
        try:
            with open_source(path) as source:
                list(source)
        except InputError as error:
            assert "\n" not in str(error)


def test_the_limit_of_pixels_holds_for_pictures_too(tmp_path, picture):
    limit = SourceConfig(max_pixels=96 * 64 - 1)
    Image.fromarray(picture(0)).save(tmp_path / "1.png")
    for path in (tmp_path, save(tmp_path / "a.tif", pictures(picture)), save(tmp_path / "a.webp", pictures(picture))):
        with pytest.raises(InputError, match="96x64 pixels; expected at most 6143"):
            open_source(path, config=limit)
