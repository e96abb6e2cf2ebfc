import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.datasets.lvos import FrameRange, frame_numbers, read_split
from streamvos.errors import InputError

META = {"a": {"1": (1, 16, 4), "2": (6, 16, 3)}, "b": {"1": (1, 16, 4)}}


def write_meta(root: Path, meta: dict = META) -> None:
    videos = {
        name: {
            "objects": {
                key: {"frame_range": {"start": f"{start:08d}", "end": f"{end:08d}", "frame_nums": str(count)}}
                for key, (start, end, count) in objects.items()
            }
        }
        for name, objects in meta.items()
    }
    (root / "valid_meta.json").write_text(json.dumps({"videos": videos}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in META:
        for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
            (tmp_path / kind / name).mkdir(parents=True)
            for number in (1, 6, 11, 16):
                Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / kind / name / f"{number:08d}.{suffix}")
    write_meta(tmp_path)
    (tmp_path / "unseen_videos.txt").write_text("b\nother\n")
    return tmp_path


def test_reads_meta_and_list(root: Path) -> None:
    split = read_split(root)
    assert split.names() == ["a", "b"] and split.ranges["a"] == {1: FrameRange(1, 16, 4), 2: FrameRange(6, 16, 3)}
    assert split.unseen >= {"b"} and "a" not in split.unseen
    assert frame_numbers(split.sequence("a")) == [1, 6, 11, 16]


def test_bad_input(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not an LVOS folder"):
        read_split(tmp_path / "nowhere")
    with pytest.raises(InputError, match="did you mean 'a'"):
        read_split(root).names(["aa"])
    with pytest.raises(InputError, match="test_meta.json .--set test.; meta files there: valid_meta.json"):
        read_split(root, "test")
    with pytest.raises(InputError, match="--unseen FILE"):
        read_split(root, unseen=root / "lost.txt")
    write_meta(root, {**META, "c": {}})
    with pytest.raises(InputError, match="1 are not in .*first: c"):
        read_split(root)
    write_meta(root, {"a": {}})
    with pytest.raises(InputError, match="names no object"):
        read_split(root)
    (root / "valid_meta.json").write_text('{"videos": {"a": {"objects": {"1": {}}}}}')
    with pytest.raises(InputError, match="KeyError.*frame_range"):
        read_split(root)
    (root / "valid_meta.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        read_split(root)


def test_says_which_folder_was_meant(root: Path) -> None:
    (root / "up").mkdir()
    (root / "JPEGImages").rename(root / "moved")
    (root / "valid").mkdir()
    (root / "moved").rename(root / "valid" / "JPEGImages")
    with pytest.raises(InputError, match="give the folder of the split, .*valid"):
        read_split(root)


def test_frames_need_numbers(root: Path) -> None:
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        (root / kind / "a" / f"00000001.{suffix}").rename(root / kind / "a" / f"first.{suffix}")
    with pytest.raises(InputError, match="expected frames named by their numbers"):
        frame_numbers(read_split(root).sequence("a"))
