import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.datasets.cocovid import read_cocovid
from eval.datasets.composed import FrameTruth, SequenceTruth
from streamvos.errors import InputError


def write_cocovid(root: Path, pictures: str = "JPEGImages/480p") -> Path:
    """Two videos of two frames; the images of "b" are not in order, and its first is degraded."""
    images, number = [], 0
    for video_id, name in ((1, "a"), (2, "b")):
        (root / pictures / name).mkdir(parents=True)
        for frame_id in (0, 1) if name == "a" else (1, 0):
            file = f"{name}/{frame_id:05d}.png"
            Image.fromarray(np.full((8, 12, 3), 10 * video_id + frame_id, np.uint8)).save(root / pictures / file)
            number += 1
            what = {"degradation": "noise" if frame_id == 0 else None, "strength": 2} if name == "b" else {}
            images.append({"id": number, "video_id": video_id, "frame_id": frame_id, "file_name": file, **what})
    annotations = [
        {"id": 0, "image_id": 1, "video_id": 1, "category_id": 3, "instance_id": 7, "bbox": [1, 2, 3, 4], "area": 12},
        {"id": 1, "image_id": 4, "video_id": 2, "category_id": 3, "instance_id": 8, "bbox": [0, 0, 5, 5], "area": 25},
    ]
    videos, categories = [{"id": 2, "name": "b"}, {"id": 1, "name": "a"}], [{"id": 3, "name": "dog"}]
    path = root / "annotations" / "cocovid.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"videos": videos, "images": images, "annotations": annotations, "categories": categories})
    )
    return path


@pytest.mark.parametrize("pictures", ["JPEGImages/480p", "Data/VID", "annotations", ""])
def test_reads_videos_in_order(tmp_path: Path, pictures: str):
    videos = read_cocovid(write_cocovid(tmp_path, pictures))
    assert [video.name for video in videos.videos] == ["a", "b"] and videos.categories == {3: "dog"}
    first, second = videos.videos
    assert [frame.index for frame in second.frames] == [0, 1]
    assert [int(image[0, 0, 0]) for image in second.images()] == [20, 21]
    assert [frame.degradation for frame in first.frames] == [None, None]
    assert [frame.degradation for frame in second.frames] == ["noise", ""]
    assert second.frames[0].strength == 2
    (box,) = second.truth()
    assert (box["image_id"], box["instance_id"], box["bbox"]) == (4, 8, [0, 0, 5, 5])


def test_a_selection_and_a_folder_of_ones_own(tmp_path: Path):
    path = write_cocovid(tmp_path, "elsewhere")
    with pytest.raises(InputError, match="--images"):
        read_cocovid(path)
    (only,) = read_cocovid(path, tmp_path / "elsewhere", ["b"]).videos
    assert only.name == "b" and next(only.images()).shape == (8, 12, 3)
    with pytest.raises(InputError, match="unknown video 'c'"):
        read_cocovid(path, tmp_path / "elsewhere", ["c"])


def test_degradations_of_a_composed_benchmark(tmp_path: Path):
    path = write_cocovid(tmp_path)
    frames = tuple(FrameTruth(index, index / 24, "dark" if index else None, 3 * index, ()) for index in range(2))
    truth = SequenceTruth("a", Fraction(24), 2, (12, 8), 0, "degraded", (), frames)
    truth.save(tmp_path / "truth" / "a.json")
    first, second = read_cocovid(path).videos
    assert [(frame.degradation, frame.strength) for frame in first.frames] == [("", 0), ("dark", 3)]
    assert [frame.degradation for frame in second.frames] == ["noise", ""]  # what the json itself says


def test_a_file_written_anew_is_read_anew(tmp_path: Path):
    path = write_cocovid(tmp_path)
    assert read_cocovid(path).categories == {3: "dog"}
    path.write_text(path.read_text().replace('"dog"', '"tiger"'))
    assert read_cocovid(path).categories == {3: "tiger"}


@pytest.mark.parametrize(
    "change, message",
    [
        pytest.param({"videos": None}, "missing", id="no-videos"),
        pytest.param({"videos": []}, "incomplete", id="images-of-no-video"),
        pytest.param({"images": []}, "incomplete", id="boxes-of-no-image"),
        pytest.param({"images": [], "annotations": []}, "images in each", id="empty-videos"),
        pytest.param({"annotations": [{"image_id": 1}]}, "incomplete", id="half-a-box"),
    ],
)
def test_bad_files(tmp_path: Path, change: dict, message: str):
    path = write_cocovid(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message):
        read_cocovid(path)


def test_not_json(tmp_path: Path):
    (tmp_path / "x.json").write_text("[1, 2")
    for path in (tmp_path / "x.json", tmp_path / "absent.json"):
        with pytest.raises(InputError, match="CocoVID .* (is not JSON|cannot be read)"):
            read_cocovid(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("../../x", "does not allow"), ("/x", "does not allow"), ("..", "does not allow"), ("a", "of different names")],
)
def test_videos_name_files_inside_the_results(tmp_path: Path, name: str, message: str):
    path = write_cocovid(tmp_path)
    document = json.loads(path.read_text())
    document["videos"][0]["name"] = name
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=message):
        read_cocovid(path)


@pytest.mark.parametrize(
    ("part", "entry", "message"),
    [
        ("images", {"file_name": "../secret.jpg"}, "inside the folder of images"),
        ("images", {"file_name": "/etc/secret.jpg"}, "inside the folder of images"),
        ("annotations", {"category_id": 99}, "category_id 99"),
    ],
)
def test_references_lead_nowhere_else(tmp_path: Path, part: str, entry: dict, message: str):
    path = write_cocovid(tmp_path)
    document = json.loads(path.read_text())
    document[part][0] |= entry
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=message):
        read_cocovid(path)
