"""Data sets as copies, downloads and editors leave them: hidden files, byte order marks, blank lines, mixed widths."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.datasets import cdnet, davis, imagenet_vid, longvideos, lvos, mot, rgbd
from eval.datasets.cocovid import read_cocovid
from eval.datasets.composed import SequenceTruth
from eval.datasets.mot_truth import read_truth
from streamvos.errors import InputError

BOM = "\ufeff"


def save(path: Path, value: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(path)
    (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    return path


def masks(root: Path, images: str, annotations: str, names=("1", "2", "10")) -> Path:
    """A sequence whose names have no leading zeros, with macOS's shadows beside each file and folder."""
    for value, name in enumerate(names, start=1):
        save(root / images / f"{name}.jpg", value)
        save(root / annotations / f"{name}.png", value)
    for folder in ((root / images).parent, (root / annotations).parent):
        (folder / ".ipynb_checkpoints").mkdir(exist_ok=True)
        (folder / "__MACOSX").mkdir(exist_ok=True)
    return root


def stems(sequence) -> list[str]:
    return [path.stem for path in sequence.frames]


def test_davis(tmp_path):
    masks(tmp_path, "JPEGImages/480p/clip2", "Annotations/480p/clip2")
    masks(tmp_path, "JPEGImages/480p/clip10", "Annotations/480p/clip10")
    (tmp_path / "ImageSets/2017").mkdir(parents=True)
    lists = tmp_path / "ImageSets/2017/val.txt"
    first = davis.find_sequences(tmp_path)
    assert [one.name for one in first] == ["clip2", "clip10"] and stems(first[0]) == ["1", "2", "10"]
    assert [int(labels[0, 0]) for labels in first[0].label_maps()] == [1, 2, 3]
    lists.write_text(f"{BOM}clip10\n\nclip2\n", encoding="utf-8")
    (lists.parent / "._val.txt").write_bytes(b"\0\5\x16\7")
    assert davis.list_sequences(tmp_path) == ["clip2", "clip10"]


def test_long_videos(tmp_path):
    masks(tmp_path, "JPEGImages/clip", "Annotations/clip")
    assert longvideos.list_videos(tmp_path) == ["clip"]
    assert stems(longvideos.find_video(tmp_path, "clip")) == ["1", "2", "10"]


def test_lvos(tmp_path):
    masks(tmp_path, "JPEGImages/clip", "Annotations/clip")
    life = {"frame_range": {"start": 1, "end": 11, "frame_nums": 3}}
    text = BOM + json.dumps({"videos": {"clip": {"objects": {"1": life}}}})
    (tmp_path / "valid_meta.json").write_text(text, encoding="utf-8")
    (tmp_path / "._valid_meta.json").write_bytes(b"\0")
    (tmp_path / "unseen_videos.txt").write_text(f"{BOM}clip\n\n", encoding="utf-8")
    split = lvos.read_split(tmp_path)
    assert split.names() == ["clip"] and split.unseen == {"clip"}
    assert lvos.frame_numbers(split.sequence("clip")) == [1, 2, 10]


def test_imagenet_vid(tmp_path):
    for name in ("000000", "000001"):
        path = save(tmp_path / f"Data/VID/val/clip/{name}.png")
        path.rename(path.with_suffix(".JPEG"))
        (path.parent / f"._{name}.JPEG").write_bytes(b"\0")
    (tmp_path / "Data/VID/val/.cache").mkdir()
    videos = imagenet_vid.read_videos(tmp_path).videos
    assert [[frame.file.name for frame in video.frames] for video in videos] == [["000000.JPEG", "000001.JPEG"]]


def test_cocovid(tmp_path):
    save(tmp_path / "clip/1.png")
    document = {
        "videos": [{"id": 1, "name": "clip"}],
        "images": [{"id": 1, "video_id": 1, "frame_id": 0, "file_name": "clip/1.png"}],
        "annotations": [],
        "categories": [{"id": 1, "name": "dog"}],
    }
    (tmp_path / "set.json").write_text(BOM + json.dumps(document), encoding="utf-8")
    assert [video.name for video in read_cocovid(tmp_path / "set.json").videos] == ["clip"]


def test_cdnet(tmp_path):
    for number in (1, 2, 3):
        save(tmp_path / f"base/road/input/in{number:06d}.jpg")
        save(tmp_path / f"base/road/groundtruth/gt{number:06d}.png")
    (tmp_path / "base/road/temporalROI.txt").write_text(f"{BOM}2 3\n", encoding="utf-8")
    (tmp_path / "__MACOSX/road/input").mkdir(parents=True)
    (tmp_path / "__MACOSX/road/groundtruth").mkdir()
    videos = cdnet.find_videos(tmp_path)
    assert [(video.path, video.numbers, video.first) for video in videos] == [("base/road", (1, 2, 3), 2)]


def mot_sequence(root: Path, name: str = "clip", rate: str = "29.97", truth: str = "1,1,0,0,4,4,1,1,1\n") -> Path:
    folder = root / name
    save(folder / "img1/000001.jpg")
    save(folder / "img1/000002.jpg")
    (folder / "gt").mkdir()
    (folder / "gt/gt.txt").write_text(truth, encoding="utf-8")
    text = f"{BOM}[Sequence]\nname={name}\nframeRate={rate}\nseqLength=2\n"
    (folder / "seqinfo.ini").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("rate", ["29.97", "29.97002997002997", "30000/1001"])
def test_mot(tmp_path, rate):
    mot_sequence(tmp_path, "clip10", rate)
    mot_sequence(tmp_path, "clip2", rate)
    (tmp_path / ".hidden").mkdir()
    found = mot.find_sequences(tmp_path)
    assert [one.name for one in found] == ["clip2", "clip10"]
    assert found[0].rate == Fraction(30_000, 1001) and len(found[0].frames()) == 2


def test_mot_rates_and_truth_that_cannot_be(tmp_path):
    mot_sequence(tmp_path, "hangs", "1e99999999")
    with pytest.raises(InputError, match="frameRate: expected a positive rate"):
        mot.find_sequences(tmp_path)
    folder = mot_sequence(tmp_path / "other", truth=f"{BOM}2,1,0,0,4,4,1,1,1\n\n1,1,0,0,4,4,1,1,1\n   \n")
    lines = read_truth(folder / "gt/gt.txt", 2).lines
    assert lines == ("1,1,0,0,4,4,1,1,1", "2,1,0,0,4,4,1,1,1")
    (folder / "gt/gt.txt").write_text("1,1,0,0,4,4,1,1,1\n2,1,0,0,4,4\n")
    with pytest.raises(InputError, match=r"gt\.txt, line 2: expected frame, id.*at least 7 numbers"):
        mot.find_sequences(tmp_path / "other")


def test_rgbd(tmp_path):
    for name in ("room10", "room2", ".hidden"):
        folder = tmp_path / name
        save(folder / "frame-000000.color.png")
        Image.fromarray(np.full((8, 8), 1000, np.uint16)).save(folder / "frame-000000.depth.png")
        np.savetxt(folder / "frame-000000.pose.txt", np.eye(4))
        (folder / "._frame-000000.pose.txt").write_bytes(b"\0")
        np.savetxt(folder / "camera-intrinsics.txt", [[5, 0, 4], [0, 5, 4], [0, 0, 1]])
    found = rgbd.find_sequences(tmp_path)
    assert [one.name for one in found] == ["room2", "room10"]
    assert len(found[0].truth(np.zeros(1))) == 1


def test_the_rate_of_composed_truth_cannot_hang(tmp_path):
    path = tmp_path / "clip.json"
    truth = {"sequence": "clip", "num_frames": 0, "size": [8, 8], "seed": 0, "preset": "x", "objects": [], "frames": []}
    path.write_text(BOM + json.dumps(truth | {"fps": "30000/1001"}), encoding="utf-8")
    assert SequenceTruth.load(path).fps == Fraction(30_000, 1001)
    path.write_text(json.dumps(truth | {"fps": "1e99999999"}))
    with pytest.raises(InputError, match="expected a positive rate"):
        SequenceTruth.load(path)
