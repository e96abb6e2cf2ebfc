"""`streamvos eval imagenet-vid` on real frames, some blurred; the truth is what the detector finds unblurred."""

import contextlib
import io
import json
from pathlib import Path

import cv2
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from apps.cli import main
from pipelines.session import Session
from streamvos.video.sources import open_source

CLASSES = {1: "car", 2: "person", 3: "submarine"}
IDS = {name: number for number, name in CLASSES.items()}
BLURRED = (5, 6)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of one shot in a CocoVID; submarines are there and never found."""
    root = tmp_path_factory.mktemp("vid")
    with open_source("sample:bikes", start_index=30, max_frames=46) as source:
        pictures = [frame.image for frame in source]
    images, boxes = [], []
    for video_id, part in ((1, pictures[:8]), (2, pictures[8:])):
        (root / "JPEGImages/480p" / f"v{video_id}").mkdir(parents=True)
        session = Session(stages=("detect",), detect={"every": 1, "memory": False, "classes": ["car", "person"]})
        for index, picture in enumerate(part):
            found = session.step(picture, float(index)).detections
            image_id, file = len(images) + 1, f"v{video_id}/{index:05d}.png"
            shown = cv2.GaussianBlur(picture, (0, 0), 4) if index in BLURRED else picture
            Image.fromarray(shown).save(root / "JPEGImages/480p" / file, compress_level=1)
            kind = "blur" if index in BLURRED else None
            place = {"video_id": video_id, "frame_id": index, "file_name": file, "degradation": kind}
            images.append({"id": image_id, **place})
            things = [
                (name, [x1, y1, x2 - x1, y2 - y1])
                for name, (x1, y1, x2, y2) in zip(found.class_names, found.boxes_xyxy.tolist(), strict=True)
            ]
            for number, (name, place) in enumerate([*things, ("submarine", [5, 5, 40, 40])]):
                entry = {"image_id": image_id, "category_id": IDS[name], "instance_id": number, "bbox": place}
                boxes.append({"id": len(boxes) + 1, "video_id": video_id, **entry})
    document = {
        "videos": [{"id": 1, "name": "v1"}, {"id": 2, "name": "v2"}],
        "images": images,
        "annotations": boxes,
        "categories": [{"id": number, "name": name} for number, name in CLASSES.items()],
    }
    (root / "annotations").mkdir()
    (root / "annotations" / "cocovid.json").write_text(json.dumps(document))
    return root


def rows_of(folder: Path) -> dict[str, dict]:
    return {row["method"]: row for row in json.loads((folder / "imagenet-vid.json").read_text())["rows"]}


def test_method_baseline_and_controls(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "found"
    command = ["eval", "imagenet-vid", str(root), "--baseline", "--controls", "--jobs", "1", "--out", str(out)]
    assert main([*command, "--save", str(tmp_path / "results")]) == 0
    printed = capsys.readouterr().out
    assert "classes without counterpart in COCO: submarine" in printed and "causal" in printed
    rows = rows_of(tmp_path / "results")
    single, memory = rows["single frame"], rows["memory"]
    assert single["AP50 clean"] == 100  # its own output is the truth there
    assert single["AP50 degraded"] < 90 and memory["AP50 clean"] > 90
    assert memory["AP50, all classes"] == pytest.approx(memory["AP50"] * 2 / 3, abs=0.01)
    same = {key: single[key] for key in single if key.startswith("AP")}
    assert {
        key: rows["empty memory"][key] for key in same
    } == same  # without anything to recall, the stage adds nothing
    assert memory["AP50 degraded"] > single["AP50 degraded"]
    assert rows["memory of another video"]["AP50 degraded"] != memory["AP50 degraded"]
    headline = json.loads((tmp_path / "results" / "imagenet-vid.json").read_text())["headline"]
    assert headline["value"] == memory["AP50 degraded"] and headline["baseline"] == single["AP50 degraded"]
    assert plain_pycocotools(out) == pytest.approx((memory["AP"] * 2 / 3, memory["AP50, all classes"]), abs=0.01)
    assert sorted(path.name for path in out.glob("*.json")) == ["detections.json", "truth.json", "v1.json", "v2.json"]


def plain_pycocotools(out: Path) -> tuple[float, float]:
    """AP and AP50 as anyone gets them from the files that were kept."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(out / "truth.json"))
        scored = COCOeval(truth, truth.loadRes(str(out / "detections.json")), "bbox")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    return 100 * scored.stats[0], 100 * scored.stats[1]


def test_bad_input(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    settings = tmp_path / "graph.toml"
    settings.write_text("[detect]\nevery = 5\n")
    assert main(["eval", "imagenet-vid", str(root), "--config", str(settings)]) == 2
    assert "detect.every: expected 1" in capsys.readouterr().err
    assert main(["eval", "imagenet-vid", str(tmp_path)]) == 2
    assert "expected a CocoVID json" in capsys.readouterr().err
    assert main(["eval", "imagenet-vid", str(root), "--sequences", "v3"]) == 2
    assert "valid: v1, v2" in capsys.readouterr().err
    unknown = json.loads((root / "annotations/cocovid.json").read_text())
    unknown["categories"] = [{"id": number, "name": f"thing {number}"} for number in CLASSES]
    (tmp_path / "unknown.json").write_text(json.dumps(unknown))
    images = str(root / "JPEGImages/480p")
    assert main(["eval", "imagenet-vid", str(tmp_path / "unknown.json"), "--images", images]) == 2
    assert "known to the detector" in capsys.readouterr().err
