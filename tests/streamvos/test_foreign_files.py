"""Files that someone else wrote: one clear line for each way in which they are wrong."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.datasets import cdnet, davis, lvos, mask_sequences
from eval.datasets.composed import SequenceTruth
from eval.datasets.mot import find_sequences
from eval.datasets.mot_truth import read_truth
from eval.vot import sequences
from eval.vot.workspace import Workspace
from streamvos.config import read_settings
from streamvos.errors import InputError
from streamvos.export.trajectory import read_trajectory
from streamvos.foreign_files import exists, is_file, is_folder, picture_errors, read_json, read_text
from streamvos.video.rgbd import _read_depth
from streamvos.video.sources import open_source

LATIN, DEEP = "é".encode("latin-1"), b"[" * 100_000


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_text_and_json(tmp_path):
    path = write(tmp_path / "a", b"\xef\xbb\xbf[1]")
    assert read_text(path, "list") == "[1]" and read_json(path, "list") == [1]
    for data, message in ((LATIN, "list is not UTF-8 text"), (DEEP, "list is not JSON"), (b"[1", "list is not JSON")):
        with pytest.raises(InputError, match=message):
            read_json(write(path, data), "list")
    for absent in (tmp_path / "absent", tmp_path / ("x" * 5000), tmp_path / "a\0b", tmp_path):
        with pytest.raises(InputError, match="list cannot be read"):
            read_text(absent, "list")


@pytest.mark.parametrize("name", ["x" * 70_000, "a\0b", "absent"])
def test_names_that_no_system_can_hold(tmp_path, name):
    assert not exists(tmp_path / name) and not is_file(tmp_path / name) and not is_folder(tmp_path / name)
    with pytest.raises(InputError):
        open_source(str(tmp_path / name))
    with pytest.raises(InputError):
        open_source(str(tmp_path / f"{name}/*.png"))


def test_a_home_of_nobody():
    with pytest.raises(InputError, match="cannot be a file or folder"):
        open_source("~nobody-of-this-name/clip.mp4")


def test_long_lines_keep_their_beginning_and_end():
    told = str(InputError(f"expected a number, got {'x' * 70_000}; give one"))
    assert len(told) < 2000 and told.startswith("expected a number") and told.endswith("xx; give one")
    assert str(InputError("short")) == "short"


def png(path: Path, kind: bytes, body: bytes) -> Path:
    """A picture of which one chunk is damaged so that Pillow answers with what its parser stumbles over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    data = path.read_bytes()
    return write(path, data[:33] + chunk + data[33:])


@pytest.mark.parametrize(("kind", "body"), [(b"acTL", b""), (b"IHDR", b"1"), (b"iCCP", b"name\0"), (b"tRNS", b"")])
def test_damaged_pictures(tmp_path, kind, body):
    path = png(tmp_path / "gt000001.png", kind, body)
    with pytest.raises(InputError, match="annotation .* cannot be read as a picture"):
        mask_sequences.read_labels(path)
    with pytest.raises(InputError, match="depth .* cannot be read as a picture"):
        _read_depth(path)
    video = cdnet.CdnetVideo("", "way", tmp_path, (1,), 1, 1)
    png(tmp_path / "groundtruth/gt000001.png", kind, body)
    with pytest.raises(InputError, match="truth .* cannot be read as a picture"):
        video.labels(1)


def test_errors_of_our_own_pass(tmp_path):
    with pytest.raises(InputError, match="^a colour$"), picture_errors("mask"):
        raise InputError("a colour")
    with pytest.raises(InputError, match="mask does not exist"), picture_errors("mask"):
        Image.open(tmp_path / "absent.png")


@pytest.mark.parametrize("data", [LATIN, b"1 " + "²".encode(), b"9" * 5000 + b" 2"])
def test_lists_of_data_sets(tmp_path, data):
    with pytest.raises(InputError):
        cdnet._temporal_roi(write(tmp_path / "temporalROI.txt", data), (1, 2))
    with pytest.raises(InputError):
        read_truth(write(tmp_path / "gt.txt", data), 3)
    if data is LATIN:
        write(tmp_path / "ImageSets/2017/val.txt", data)
        with pytest.raises(InputError, match="is not UTF-8"):
            davis._image_set(tmp_path, "480p", 2017, None)
        write(tmp_path / "config.yaml", b"")
        write(tmp_path / "sequences/list.txt", data)
        with pytest.raises(InputError, match="is not UTF-8"):
            Workspace(tmp_path).sequence_names()


def test_lvos_numbers_without_end(tmp_path):
    for name in ("JPEGImages/a", "Annotations/a"):
        (tmp_path / name).mkdir(parents=True)
    meta = b'{"videos": {"a": {"objects": {"1": {"frame_range": {"start": Infinity, "end": 2, "frame_nums": 3}}}}}}'
    write(tmp_path / "valid_meta.json", meta)
    with pytest.raises(InputError, match="OverflowError"):
        lvos.read_split(tmp_path)


@pytest.mark.parametrize("length", ["", "x", "²", "-1", "999999999999", "9" * 5000])
def test_vot_lengths(tmp_path, length):
    write(tmp_path / "color/00000001.jpg", b"")
    write(tmp_path / "sequence", f"length={length}\n".encode())
    with pytest.raises(InputError, match="as many frames"):
        sequences.read_sequence(tmp_path)


@pytest.mark.parametrize("pattern", ["%s.jpg", "%99999999d.jpg", "%.jpg", "%d%d.jpg"])
def test_vot_patterns(tmp_path, pattern):
    write(tmp_path / "color/00000001.jpg", b"")
    write(tmp_path / "sequence", f"channels.color=color/{pattern}\nlength=1\n".encode())
    with pytest.raises(InputError, match="such as %08d.jpg"):
        sequences.read_sequence(tmp_path)


@pytest.mark.parametrize("length", ["0", "-3", "99999999999", "9" * 5000])
def test_mot_lengths(tmp_path, length):
    write(tmp_path / "a/gt/gt.txt", b"")
    write(tmp_path / "a/seqinfo.ini", f"[Sequence]\nseqLength={length}\n".encode())
    with pytest.raises(InputError, match="seqLength"):
        find_sequences(tmp_path)


@pytest.mark.parametrize("name", ["a.toml", "a.json"])
def test_settings_nested_without_end(tmp_path, name):
    with pytest.raises(InputError, match="is not valid"):
        read_settings(write(tmp_path / name, DEEP if name == "a.json" else b"a = " + DEEP))


@pytest.mark.parametrize("comment", ["# map ²", "# map " + "9" * 5000])
def test_maps_of_a_trajectory_that_are_no_numbers(tmp_path, comment):
    path = write(tmp_path / "a.txt", f"{comment}\n1 0 0 0 0 0 0 1\n".encode())
    assert read_trajectory(path).map_ids.tolist() == [0]


def test_composed_truth_nested_without_end(tmp_path):
    with pytest.raises(InputError, match="is not JSON"):
        SequenceTruth.load(write(tmp_path / "a.json", DEEP))
