"""Regions as the toolkit stores them: round trips, and what it makes of odd ones."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from eval.datasets.vot_regions import (
    EMPTY,
    Mask,
    Rectangle,
    Region,
    Special,
    cropped,
    format_region,
    in_frame,
    parse_region,
    read_trajectory,
    write_trajectory,
)
from eval.vot.sequences import VotSequence
from streamvos.errors import InputError

SPOTS = np.random.default_rng(0).random((300, 400)) < 0.01
SPOTS[0, 1] = True


def same(a: Region, b: Region) -> bool:
    if isinstance(a, Mask) and isinstance(b, Mask):
        return (a.x, a.y) == (b.x, b.y) and np.array_equal(a.pixels, b.pixels)
    return a == b


def test_text_as_the_toolkit_writes_it() -> None:
    pixels = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0]], bool)
    assert format_region(Mask(pixels)) == "m0,0,4,3,5,2,3,1,1"
    assert format_region(cropped(Mask(pixels, 10, 20))) == "m11,21,2,2,0,2,1,1"
    assert format_region(EMPTY) == "m0,0,0,0,0"


@pytest.mark.parametrize(
    "region",
    [Special(0), Special(2), Rectangle(1.5, 2.0, 30.25, 4.0), EMPTY, cropped(Mask(SPOTS, 5, 7))],
    ids=["unknown", "failure", "rectangle", "empty", "mask"],
)
def test_round_trips(region: Region, tmp_path: Path) -> None:
    assert same(parse_region(format_region(region)), region)
    for name in ("a.txt", "a.bin"):
        write_trajectory(tmp_path / name, [region, Special(1)])
        first, second = read_trajectory(tmp_path / name)
        assert same(first, region) and second == Special(1)


def test_runs_too_long_for_16_bits(tmp_path: Path) -> None:
    pixels = np.zeros((500, 600), bool)
    pixels[0, 0] = pixels[-1, -1] = True
    write_trajectory(tmp_path / "a.bin", [Mask(pixels)])
    (region,) = read_trajectory(tmp_path / "a.bin")
    assert same(region, Mask(pixels))


def test_a_mask_one_pixel_wide_reads_as_empty() -> None:
    assert same(parse_region("m10,20,1,5,0,5"), EMPTY)
    assert parse_region("m10,20,5,1,0,5").pixels.all()


@pytest.mark.parametrize(
    ("x", "y", "count"), [(2, 3, 12), (-1, 3, 9), (8, 8, 4), (30, 0, 0), (-9, -9, 0)], ids=lambda value: str(value)
)
def test_in_frame_cuts_what_lies_outside(x: int, y: int, count: int) -> None:
    frame = in_frame(Mask(np.ones((3, 4), bool), x, y), (10, 10))
    assert frame.shape == (10, 10) and frame.sum() == count


@pytest.mark.parametrize("text", ["", "mask", "1,2,3", "m0,0,2,2,9", "1,2,3,4,5,6", "m1,2"])
def test_odd_text_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_region(text)


@pytest.mark.parametrize("data", [b"", b"\x02\x00\x01\x00\x00\x00", b"\x01\x00\x05\x00\x00\x00\x03"])
def test_damaged_files_are_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(InputError, match="a.bin is not a VOT trajectory"):
        read_trajectory(tmp_path / "a.bin")


@pytest.mark.parametrize("line", ["m0,0,4,4,9000000000000", "m0,0,900000,900000,1"], ids=["runs", "size"])
def test_damaged_masks_take_no_memory(line: str) -> None:
    with pytest.raises(InputError):
        parse_region(line)


def test_packed_regions_are_those_that_were_packed(tmp_path: Path) -> None:
    regions = [Special(0), cropped(Mask(SPOTS, 5, 7)), EMPTY, Special(2)]
    for name in ("a.txt", "a.bin"):
        write_trajectory(tmp_path / name, regions)
        read = read_trajectory(tmp_path / name)
        assert len(read) == 4 and all(map(same, read, regions)) and same(read[-3], regions[1])
        assert all(map(same, read.chosen([False, True, False, True]), regions[1::2]))
        assert all(map(same, read[1:3], regions[1:3]))
        assert read.filled(6)[5] == Special(0) and len(read.filled(6)) == 6


def test_a_long_video_is_scored_without_its_masks_in_memory(tmp_path: Path) -> None:
    """400 masks of 360x640 are 92 MB as pixels, and a few kB as runs."""
    size, count = (360, 640), 400
    for name, left in (("said.bin", 0), ("true.txt", 8)):
        write_trajectory(tmp_path / name, (Mask(np.ones((size[0], 600), bool), left) for _ in range(count)))
    tracemalloc.start()
    try:
        said, true = (read_trajectory(tmp_path / name) for name in ("said.bin", "true.txt"))
        scores = VotSequence("a", (), size, {"1": true}).score({"1": said})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert scores.quality == pytest.approx(592 / 608) and scores.adq is None
    assert peak < 8 * 2**20
