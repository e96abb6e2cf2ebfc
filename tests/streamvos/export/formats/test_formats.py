"""What a run exports, opened by the libraries that it is for."""

from __future__ import annotations

import configparser
import csv
import json
from collections import defaultdict
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from streamvos.errors import InputError, IntegrityError
from streamvos.export.formats import FORMATS, RecordedRun, export_run
from streamvos.export.formats.outlines import fill, outline_of
from streamvos.export.formats.spill import Spill
from streamvos.masks import tight_box


@pytest.fixture
def export(recorded, tmp_path):
    """Record and export; gives the folder."""

    def call(name, **options):
        folder = recorded.record(tmp_path / "run", **options)
        export_run(RecordedRun(folder), name, tmp_path / "out")
        return tmp_path / "out"

    return call


def test_all_formats_say_what_they_left(recorded, tmp_path):
    run, seen = RecordedRun(recorded.record(tmp_path / "run")), []
    for name in FORMATS.names():
        files = export_run(run, name, tmp_path / name, on_frame=lambda frame: seen.append(frame.index))
        assert files and {path.name for path in (tmp_path / name).iterdir()} == {one.rstrip("/") for one in files}
    assert seen == [*range(recorded.count)] * len(FORMATS.names())


def test_coco_by_pycocotools(recorded, export):
    coco = COCO(str(export("coco") / "annotations.json"))
    assert len(coco.getImgIds()) == recorded.count
    names = {one["id"]: one["name"] for one in coco.loadCats(coco.getCatIds())}
    assert set(names.values()) == set(recorded.labels.values()) and names[18] == "dog"
    for image in coco.loadImgs(coco.getImgIds()):
        truth = recorded.masks_at(image["frame_index"])
        found = coco.loadAnns(coco.getAnnIds([image["id"]]))
        assert [one["track_id"] for one in found] == list(truth)
        for one in found:
            mask = truth[one["track_id"]]
            assert np.array_equal(coco.annToMask(one), mask) and one["area"] == mask.sum()
            x1, y1, x2, y2 = tight_box(mask).tolist()
            assert one["bbox"] == [x1, y1, x2 - x1, y2 - y1]
            assert names[one["category_id"]] == recorded.labels[one["track_id"]]
        assert (found[0]["score"], found[0]["class_score"]) == (0.9375, 0.8125)


def test_coco_scored_against_itself(export):
    from pycocotools.cocoeval import COCOeval

    coco = COCO(str(export("coco") / "annotations.json"))
    judge = COCOeval(coco, coco.loadRes(coco.dataset["annotations"]), "segm")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    assert judge.stats[0] == pytest.approx(1)


def test_davis_pictures(recorded, export):
    folder = export("davis") / "Annotations/480p/clip"
    assert len(list(folder.iterdir())) == recorded.count
    for index in range(recorded.count):
        with Image.open(folder / f"{index:05d}.png") as image:
            assert image.mode == "P" and image.getpalette()[3:6] == [128, 0, 0]
            labels = np.asarray(image)
        truth = recorded.masks_at(index)
        assert set(np.unique(labels)) == {0, *truth}
        assert all(np.array_equal(labels == key, mask) for key, mask in truth.items())


def test_yolo_boxes(recorded, export):
    folder = export("yolo")
    names = ['a "b" <&> ü', "dog", "object"]
    text = (folder / "data.yaml").read_text(encoding="utf-8")
    assert [f"  {number}: {json.dumps(name, ensure_ascii=False)}" in text for number, name in enumerate(names)]
    rows = [line.split() for line in (folder / "labels/00004.txt").read_text().splitlines()]
    assert [row[0] for row in rows] == ["1"]
    x, y, wide, high = (float(word) for word in rows[0][1:])
    assert (x * 64, y * 48, wide * 64, high * 48) == pytest.approx((11, 10, 10, 10), abs=1e-4)
    assert len(list((folder / "labels").iterdir())) == recorded.count


def test_yolo_polygons_fill_to_the_masks(recorded, export):
    folder = export("yolo-seg")
    for index in range(recorded.count):
        lines = (folder / f"labels/{index:05d}.txt").read_text().splitlines()
        for line, mask in zip(lines, recorded.masks_at(index).values(), strict=True):
            corners = np.array(line.split()[1:], float).reshape(-1, 2) * (64, 48)
            got = fill(corners, (48, 64))
            assert len(corners) >= 3 and (got & mask).sum() == mask.sum()
            assert (got & ~mask).sum() <= 6  # the line that joins two parts


def test_yolo_by_supervision(recorded, tmp_path):
    sv = pytest.importorskip("supervision")
    folder = recorded.record(tmp_path / "run")
    export_run(RecordedRun(folder), "yolo-seg", tmp_path / "out")
    (tmp_path / "out/images").mkdir()
    for index in range(recorded.count):
        Image.new("RGB", (64, 48)).save(tmp_path / f"out/images/{index:05d}.jpg")
    data = sv.DetectionDataset.from_yolo(
        str(tmp_path / "out/images"), str(tmp_path / "out/labels"), str(tmp_path / "out/data.yaml"), force_masks=True
    )
    assert len(data) == recorded.count and data.classes[1] == "dog"
    for path, _, found in data:
        truth = recorded.masks_at(int(path[-9:-4]))
        for mask, want in zip(found.mask, truth.values(), strict=True):  # it rounds corners: a row is lost, or a pixel
            assert (mask & want).sum() >= 0.9 * want.sum() or want.sum() == 1


def test_coco_by_supervision(recorded, tmp_path):
    """Its reader takes run lengths for crowds alone: boxes and classes come over, masks by yolo-seg."""
    sv = pytest.importorskip("supervision")
    folder = recorded.record(tmp_path / "run")
    export_run(RecordedRun(folder), "coco", tmp_path / "out")
    (tmp_path / "out/images").mkdir()
    for index in range(recorded.count):
        Image.new("RGB", (64, 48)).save(tmp_path / f"out/images/{index:05d}.jpg")
    data = sv.DetectionDataset.from_coco(str(tmp_path / "out/images"), str(tmp_path / "out/annotations.json"))
    for path, _, found in data:
        truth = recorded.masks_at(int(path[-9:-4]))
        assert [box.tolist() for box in found.xyxy] == [tight_box(mask).tolist() for mask in truth.values()]
        names = [data.classes[number] for number in found.class_id]
        assert names == [recorded.labels[key] for key in truth]


def test_mot_by_trackeval(recorded, tmp_path):
    """The run is its own truth: every measure is perfect, and counts what is there."""
    trackeval = pytest.importorskip("trackeval")
    run = RecordedRun(recorded.record(tmp_path / "run"))
    export_run(run, "mot", tmp_path / "gt/MOT17-01")
    lines = (tmp_path / "gt/MOT17-01/gt/gt.txt").read_text().splitlines()
    (tmp_path / "gt/MOT17-01/gt/gt.txt").write_text("".join(f"{_as_pedestrian(line)}\n" for line in lines))
    results = tmp_path / "trackers/ours/data"
    results.mkdir(parents=True)
    (results / "MOT17-01.txt").write_text((tmp_path / "run/boxes.txt").read_text())
    config = trackeval.datasets.MotChallenge2DBox.get_default_dataset_config() | {
        "GT_FOLDER": str(tmp_path / "gt"),
        "TRACKERS_FOLDER": str(tmp_path / "trackers"),
        "SEQ_INFO": {"MOT17-01": None},
        "SKIP_SPLIT_FOL": True,
        "PRINT_CONFIG": False,
    }
    data = trackeval.datasets.MotChallenge2DBox(config)
    raw = data.get_preprocessed_seq_data(data.get_raw_seq_data("ours", "MOT17-01"), "pedestrian")
    score = trackeval.metrics.HOTA().eval_sequence(raw)
    assert raw["num_gt_dets"] == sum(len(recorded.masks_at(index)) for index in range(recorded.count))
    assert score["HOTA"].mean() == pytest.approx(1)


def _as_pedestrian(line: str) -> str:
    """TrackEval's MOT17 scores class 1 alone."""
    words = line.split(",")
    return ",".join([*words[:7], "1", words[8]])


def test_mot_files(recorded, export):
    folder = export("mot")
    facts = configparser.ConfigParser()
    facts.read(folder / "seqinfo.ini")
    assert facts["Sequence"]["seqLength"] == "8" and facts["Sequence"]["frameRate"] == "25"
    labels = (folder / "gt/labels.txt").read_text(encoding="utf-8").splitlines()
    first = (folder / "gt/gt.txt").read_text().splitlines()[0]
    assert first == "1,1,3.00,6.00,10.00,10.00,1,2,1" and labels[1] == "dog"


def test_cvat_tracks(recorded, export):
    """By the published form: https://docs.cvat.ai/docs/manual/advanced/xml_format/"""
    root = ElementTree.parse(export("cvat") / "annotations.xml").getroot()
    assert root.findtext("version") == "1.1" and root.findtext("meta/task/mode") == "interpolation"
    assert [root.findtext(f"meta/task/{key}") for key in ("size", "start_frame", "stop_frame")] == ["8", "0", "7"]
    assert root.findtext("meta/task/original_size/width") == "64"
    listed = {label.findtext("name") for label in root.findall("meta/task/labels/label")}
    assert listed == set(recorded.labels.values())
    seen = defaultdict(dict)
    for track in root.findall("track"):
        assert track.get("label") == recorded.labels[int(track.get("id"))]
        for shape in track:
            assert shape.tag == "polygon" and shape.get("keyframe") == "1" and shape.get("occluded") == "0"
            seen[int(shape.get("frame"))][int(track.get("id"))] = shape
    outside = [(frame, key) for frame in seen for key, one in seen[frame].items() if one.get("outside") == "1"]
    assert sorted(outside) == [(3, 3), (7, 7)]
    for index in range(recorded.count):
        truth = recorded.masks_at(index)
        assert {key for key, one in seen[index].items() if one.get("outside") == "0"} == set(truth)
        corners = [pair.split(",") for pair in seen[index][1].get("points").split(";")]
        assert np.array_equal(fill(np.array(corners, float), (48, 64)), truth[1])


def test_cvat_tracks_of_a_part_end_with_it(recorded, tmp_path):
    """CVAT draws a track to the end of the video unless it is said to be outside; frames are the video's."""
    folder = recorded.record(tmp_path / "run")
    report = json.loads((folder / "run.json").read_text())
    report["given"] = {"start_s": 0.0, "end_s": None, "fps": 25.0, "max_frames": None}
    report["source"] |= {"num_frames": 8, "duration_s": 4.0, "rate": "50"}
    (folder / "run.json").write_text(json.dumps(report))
    export_run(RecordedRun(folder), "cvat", tmp_path / "out")
    root = ElementTree.parse(tmp_path / "out/annotations.xml").getroot()
    assert root.findtext("meta/task/size") == "200"
    first = [(int(one.get("frame")), one.get("outside")) for one in root.find("track")]
    assert first == [(2 * index, "0") for index in range(8)] + [(15, "1")]


def test_label_studio_boxes(recorded, export):
    """By the published form: https://labelstud.io/tags/videorectangle"""
    folder = export("label-studio")
    (task,) = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    assert task["data"] == {"video": "clip.mp4"}
    regions = task["predictions"][0]["result"]
    assert [one["id"] for one in regions] == ["object-1", "object-3", "object-7"]
    assert {one["type"] for one in regions} == {"videorectangle"}
    assert regions[1]["value"]["labels"] == [recorded.labels[3]] and regions[1]["value"]["framesCount"] == 8
    sequence = regions[1]["value"]["sequence"]
    assert [(one["frame"], one["enabled"]) for one in sequence] == [
        (1, True), (2, True), (3, False), (7, True), (8, False)
    ]  # fmt: skip
    box = [sequence[0][key] for key in ("x", "y", "width", "height")]
    assert box == pytest.approx([100 * 30 / 64, 100 * 20 / 48, 100 * 20 / 64, 100 * 20 / 48], abs=1e-3)
    config = ElementTree.parse(folder / "label_config.xml").getroot()
    assert {one.get("value") for one in config.iter("Label")} == set(recorded.labels.values())
    assert config.find("VideoRectangle").get("name") == regions[0]["from_name"]
    assert config.find("Video").get("name") == regions[0]["to_name"]


def test_csv_rows(recorded, export):
    with (export("csv") / "objects.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == recorded.count * 3
    first = rows[0]
    assert (first["class_name"], first["score"], first["class_score"]) == ("cat", "0.9375", "0.8125")
    assert [first[key] for key in ("x1", "y1", "x2", "y2", "area_px")] == ["2.0", "5.0", "12.0", "15.0", "100"]
    hidden = rows[3 * 4 + 1]
    assert (hidden["object_id"], hidden["state"], hidden["x1"], hidden["class_score"]) == ("3", "occluded", "", "")


@pytest.mark.parametrize(
    ("name", "file", "count"),
    [("coco", "annotations.json", None), ("mot", "det/det.txt", 8), ("csv", "detections.csv", 9)],
)
def test_a_run_of_detections(export, name, file, count):
    path = export(name, stages=("detect",)) / file
    if count is not None:
        assert len(path.read_text().splitlines()) == count
        return
    coco = COCO(str(path))
    assert len(coco.getImgIds()) == 4 and len(coco.getAnnIds()) == 8  # the frames that the detector looked at


@pytest.mark.parametrize("name", ["cvat", "label-studio"])
def test_detections_as_tracks_of_one_frame(export, name):
    folder = export(name, stages=("detect",))
    if name == "cvat":
        tracks = ElementTree.parse(folder / "annotations.xml").getroot().findall("track")
        assert [[shape.get("outside") for shape in track] for track in tracks] == [["0", "1"]] * 8
    else:
        (task,) = json.loads((folder / "tasks.json").read_text())
        assert len(task["predictions"][0]["result"]) == 8


@pytest.mark.parametrize("name", ["yolo-seg", "davis"])
def test_formats_of_masks_need_masks(recorded, tmp_path, name):
    run = RecordedRun(recorded.record(tmp_path / "run", stages=("detect",)))
    with pytest.raises(InputError, match="needs masks.*with the segment stage"):
        export_run(run, name, tmp_path / "out")


@pytest.mark.parametrize("status", ["interrupted", "failed", "killed"])
def test_a_run_that_did_not_end(recorded, tmp_path, status):
    """Also where a kill cut the last line."""
    folder = recorded.record(tmp_path / "run", status=status)
    num_frames = recorded.count
    if status == "killed":
        lines = folder / "tracks.jsonl.part"
        lines.write_bytes(lines.read_bytes()[:-20])
        num_frames -= 1
    run = RecordedRun(folder)
    export_run(run, "coco", tmp_path / "out")
    assert run.num_frames == num_frames == len(COCO(str(tmp_path / "out/annotations.json")).getImgIds())


def test_tracks_that_someone_formatted_anew(recorded, tmp_path):
    folder = recorded.record(tmp_path / "run")
    before = list(RecordedRun(folder).frames())
    tracks = json.loads((folder / "tracks.json").read_text())
    (folder / "tracks.json").write_text(json.dumps(tracks, indent=2))
    assert list(RecordedRun(folder).frames()) == before
    for item in (item for frame in tracks["frames"] for item in frame["objects"]):
        del item["class_score"]  # as runs before it was there
    (folder / "tracks.json").write_text(json.dumps(tracks))
    assert next(iter(RecordedRun(folder).frames())).items[0].class_score is None


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"bbox"', b'"bxob"'), (b'"state":"tracked"', b'"state":tracked'), (b"[48,64]", b"[64,48]")],
    ids=["a key", "the form", "the size"],
)
def test_damaged_tracks(recorded, tmp_path, old, new):
    folder = recorded.record(tmp_path / "run")
    path = folder / "tracks.json"
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(IntegrityError, match="tracks.json' is damaged"):
        export_run(RecordedRun(folder), "coco", tmp_path / "out")
    assert not any(tmp_path.glob("*out*"))


def test_where_nothing_may_be_written(recorded, tmp_path):
    run = RecordedRun(recorded.record(tmp_path / "run"))
    (tmp_path / "out").mkdir()
    assert export_run(run, "csv", tmp_path / "out") == ["objects.csv"]  # an empty folder is fine
    with pytest.raises(InputError, match="is there already; nothing in it is touched"):
        export_run(run, "csv", tmp_path / "out")
    with pytest.raises(InputError, match="did you mean 'coco'"):
        export_run(run, "cocoo", tmp_path / "new")
    (tmp_path / ".busy.part").mkdir()
    with pytest.raises(InputError, match="another export is writing there"):
        export_run(run, "csv", tmp_path / "busy")


@pytest.mark.parametrize(("stages", "message"), [(("reconstruct",), "no tracks.json"), (None, "holds no run")])
def test_what_cannot_be_exported(recorded, tmp_path, stages, message):
    if stages is not None:
        recorded.record(tmp_path / "run", stages=stages)
        (tmp_path / "run/tracks.json").unlink()
    with pytest.raises(InputError, match=message):
        RecordedRun(tmp_path / "run")


def test_ids_beyond_davis(recorded, tmp_path, monkeypatch):
    folder = recorded.record(tmp_path / "run")
    path = folder / "tracks.json"
    path.write_bytes(path.read_bytes().replace(b'"id":7', b'"id":255'))
    with pytest.raises(InputError, match="id 255; DAVIS masks hold ids up to 254: export as coco"):
        export_run(RecordedRun(folder), "davis", tmp_path / "out")


def test_pictures_need_a_source_that_is_there(recorded, tmp_path):
    run = RecordedRun(recorded.record(tmp_path / "run"))
    with pytest.raises(InputError, match="clip.mp4', to be a file or folder that is still there"):
        export_run(run, "coco", tmp_path / "out", images=True)
    with pytest.raises(InputError, match="csv has no place for pictures.*coco, davis, mot, yolo, yolo-seg"):
        export_run(run, "csv", tmp_path / "out", images=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", range(4))
def test_an_outline_gives_its_mask_back(seed):
    """One part without holes exactly; more parts but for the lines between them."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((40, 50), bool)
    for _ in range(3):
        y, x = rng.integers(0, 30, 2)
        mask[y : y + rng.integers(1, 9), x : x + rng.integers(1, 12)] = True
    got = fill(outline_of(mask) + 0.5, mask.shape)
    assert (got & mask).sum() == mask.sum() and (got & ~mask).sum() < 120
    one = np.zeros((40, 50), bool)
    one[5:20, 7:30] = one[12:33, 25:49] = True
    assert np.array_equal(fill(outline_of(one) + 0.5, one.shape), one)
    assert outline_of(np.zeros((4, 4), bool)).shape == (0, 2)


def test_a_spill_keeps_order_on_disk_and_in_memory(monkeypatch):
    monkeypatch.setattr("streamvos.export.formats.spill._MAX_CHARS", 20)
    with Spill() as spill:
        for number in range(30):
            spill.append(number % 3, f"piece {number}")
        assert spill.keys() == [0, 1, 2]
        assert list(spill.pieces(1)) == [f"piece {number}" for number in range(1, 30, 3)]


def test_run_lengths_survive(recorded, export):
    """The text of the run lengths is handed on as it is."""
    data = json.loads((export("coco") / "annotations.json").read_text())
    first = data["annotations"][0]["segmentation"]
    assert np.array_equal(coco_mask.decode(first).astype(bool), recorded.masks_at(0)[1])
