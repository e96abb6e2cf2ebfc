"""What `streamvos export` writes, and what other tools write, comes in again as prompts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from apps.prompt_formats import read_any_prompts
from streamvos.errors import InputError
from streamvos.export.formats import RecordedRun, export_run
from streamvos.masks import tight_box

SIZE = (48, 64)
IMAGE = (
    '<annotations><image id="0" name="4.png" width="{}" height="48"><polygon label="x" points="{}"/></image>'
    "</annotations>"
)
PLACES = {
    "coco": "annotations.json",
    "davis": ".",
    "cvat": "annotations.xml",
    "yolo-seg": ".",
    "yolo": ".",
}


@pytest.fixture
def exported(recorded, tmp_path):
    def call(name, **options):
        export_run(RecordedRun(recorded.record(tmp_path / "run", **options)), name, tmp_path / "out")
        return tmp_path / "out" / PLACES[name]

    return call


def read(path, which="first"):
    return read_any_prompts(path, which, lambda: SIZE)


@pytest.mark.parametrize("name", ["coco", "davis", "cvat"])
def test_each_object_where_it_comes_first(recorded, exported, name):
    prompts, removals = read(exported(name))
    assert removals == [] and [(one.frame_index, one.object_id) for one in prompts] == [(0, 1), (0, 3), (6, 7)]
    for one in prompts:
        truth = recorded.masks_at(one.frame_index)[one.object_id]
        joins = 6 if name == "cvat" and one.object_id == 3 else 0  # pixels of the line between the two parts
        assert (one.mask & truth).sum() == truth.sum() and (one.mask & ~truth).sum() <= joins
        assert one.label == (None if name == "davis" else recorded.labels[one.object_id])


@pytest.mark.parametrize("name", ["coco", "davis", "cvat"])
def test_all_annotated_frames(recorded, exported, name):
    prompts, _ = read(exported(name), "all")
    want = [(index, key) for index in range(recorded.count) for key in recorded.masks_at(index)]
    assert [(one.frame_index, one.object_id) for one in prompts] == want


@pytest.mark.parametrize("name", ["yolo", "yolo-seg"])
def test_yolo_has_no_ids(recorded, exported, name):
    path = exported(name)
    prompts, _ = read(path)
    assert [(one.frame_index, one.object_id, one.label) for one in prompts] == [
        (0, 1, "dog"),
        (0, 2, 'a "b" <&> ü'),
    ]
    for one, truth in zip(prompts, recorded.masks_at(0).values(), strict=True):
        if name == "yolo":
            assert np.allclose(one.box, tight_box(truth), atol=1e-3)
        else:
            assert (one.mask & truth).sum() == truth.sum()
    with pytest.raises(InputError, match="no track ids, so nothing says who is who.*--prompt-frames first"):
        read(path, "all")
    with pytest.raises(InputError, match="expected the size of the video"):
        read_any_prompts(path)


@pytest.mark.parametrize(
    "names", ["names: [dog, 'cat']\n", "names:\n  0: dog\n  1: cat\n", "names:\n- dog\n- cat\nnc: 2\n"]
)
def test_names_of_yolo(tmp_path, names):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/clip_frame_000012.txt").write_text("1 0.5 0.5 0.25 0.5\n0 0.1 0.1 0.1 0.1\n")
    (tmp_path / "data.yaml").write_text(f"train: images\n{names}")
    prompts, _ = read(tmp_path)
    assert [(one.frame_index, one.label) for one in prompts] == [(12, "cat"), (12, "dog")]
    assert prompts[0].box.tolist() == [24, 12, 40, 36]


def coco(**changes):
    data = {
        "images": [{"id": 5, "file_name": "a/frame_007.png", "height": 48, "width": 64}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"image_id": 5, "category_id": 1, "bbox": [2, 3, 10, 20]},
            {"image_id": 5, "category_id": 1, "bbox": [0, 0, 1, 1], "segmentation": [[8, 8, 8, 20, 30, 20, 30, 8]]},
            {"image_id": 5, "bbox": [0, 0, 64, 48], "iscrowd": 1},
        ],
    }
    return data | changes


def written(tmp_path, data):
    (tmp_path / "coco.json").write_text(json.dumps(data), encoding="utf-8-sig")
    return tmp_path / "coco.json"


def test_coco_of_other_tools(tmp_path):
    """Boxes and polygons, without track ids, with a byte-order mark; a crowd is no object."""
    prompts, _ = read(written(tmp_path, coco()))
    assert [(one.frame_index, one.object_id, one.label) for one in prompts] == [(7, 1, "cat"), (7, 2, "cat")]
    assert prompts[0].box.tolist() == [2, 3, 12, 23]
    assert prompts[1].mask.sum() == pytest.approx(22 * 12, abs=40) and prompts[1].mask[10, 10]


def test_ids_from_zero_are_one_more(tmp_path):
    entries = [{"image_id": 5, "bbox": [2, 3, 10, 20], "attributes": {"track_id": number}} for number in (0, 4)]
    prompts, _ = read(written(tmp_path, coco(annotations=entries)))
    assert [one.object_id for one in prompts] == [1, 5]


def test_uncompressed_run_lengths(tmp_path):
    shape = {"size": [48, 64], "counts": [48, 24, 48 * 63 - 24]}
    entries = [{"image_id": 5, "bbox": [1, 0, 1, 24], "segmentation": shape}]
    prompts, _ = read(written(tmp_path, coco(annotations=entries)))
    assert prompts[0].mask.sum() == 24 and prompts[0].mask[:24, 1].all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (coco(annotations=[]), "at least one annotated object, got none"),
        (coco(annotations=[{"image_id": 9, "bbox": [0, 0, 1, 1]}]), "not of COCO's form .KeyError: 9"),
        (coco(annotations=[{"image_id": 5, "bbox": [0, 0, 0, 1]}]), "object 1 in frame 7: Prompt.box"),
        (coco(annotations=[{"image_id": 5, "bbox": [0, 0, 2, 1], "track_id": 2}] * 2), "object 2 is annotated twice"),
        (coco(images=[{"id": 5, "video_id": 1}, {"id": 6, "video_id": 2}]), "one video, got those of 2"),
        (coco(annotations=[{"image_id": 5, "segmentation": [[0, 0, 1e15, 1, 4, 9]]}]), "corners far outside"),
        ({"prompts": [{"frame": 0, "object": 1, "box": [0, 0, 10**400, 5]}]}, "expected 'box' to be"),
    ],
    ids=["none", "no image", "empty box", "twice", "two videos", "far", "huge"],
)
def test_wrong_coco(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        read(written(tmp_path, data))


def test_cvat_for_images(tmp_path):
    """Masks there are run lengths of a box, off first; the frame is the number in the name."""
    (tmp_path / "a.xml").write_text(
        '<annotations><version>1.1</version><image id="0" name="frame_000004.png" width="64" height="48">'
        '<box label="cat" xtl="1" ytl="2" xbr="11" ybr="12" occluded="0"/>'
        '<mask label="dog" rle="2, 4, 2" left="10" top="20" width="4" height="2"/><points label="x" points="1,2"/>'
        "</image></annotations>"
    )
    prompts, _ = read(tmp_path / "a.xml")
    assert [(one.frame_index, one.object_id, one.label) for one in prompts] == [(4, 1, "cat"), (4, 2, "dog")]
    assert prompts[0].box.tolist() == [1, 2, 11, 12]
    assert np.argwhere(prompts[1].mask).tolist() == [[20, 12], [20, 13], [21, 10], [21, 11]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations>", "cannot be read as XML"),
        ("<html/>", "expected <annotations>, got <html>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "without entities"),
        ("<annotations/>", "at least one annotated object"),
        ('<annotations><track id="1"><polygon points="1,2" frame="0"/></track></annotations>', "need <original_size>"),
        ('<annotations><track id="x"><box frame="0"/></track></annotations>', "not of CVAT's form"),
        (
            '<annotations><image id="0" name="4.png" width="64" height="48">'
            '<mask rle="2,4" left="10" top="20" width="4" height="2"/></image></annotations>',
            "do not fill its box",
        ),
        (IMAGE.format(64, "nan,2;3,4;5,6"), "corners x,y within the picture"),
        (IMAGE.format(64, "1e30,2;3,4;5,6"), "corners x,y within the picture"),
        (IMAGE.format(64, "1;2;3"), "corners x,y within the picture"),
        (IMAGE.format(200_000, "1,2;3,4;5,6"), "at most 16384 pixels a side"),
    ],
    ids=["broken", "another", "entities", "empty", "no size", "no number", "short mask", "nan", "far", "flat", "huge"],
)
def test_wrong_cvat(tmp_path, text, message):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0.5 0.5", "line 1: expected a class with"),
        ("dog 0 0 1 1", "expected a class"),
        ("1 0 0 20 30", "from 0 to 1"),
    ],
)
def test_wrong_yolo(tmp_path, line, message):
    (tmp_path / "00001.txt").write_text(line)
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_davis_names_and_empty_frames(tmp_path):
    """The first frames may be empty; a name must tell its frame."""
    for index in range(3):
        labels = np.zeros(SIZE, np.uint8)
        labels[:9, :9] = 4 * (index == 2)
        Image.fromarray(labels).save(tmp_path / f"{index:05d}.png")
    (tmp_path / "._00000.png").write_bytes(b"of another system")
    prompts, _ = read(tmp_path)
    assert [(one.frame_index, one.object_id, one.mask.sum()) for one in prompts] == [(2, 4, 81)]
    Image.fromarray(np.ones(SIZE, np.uint8)).save(tmp_path / "first.png")
    with pytest.raises(InputError, match="ends with the number of the frame"):
        read(tmp_path)


def test_what_is_none_of_them(tmp_path):
    with pytest.raises(InputError, match=r"expected a folder with DAVIS masks \(PNG\) or YOLO labels"):
        read(tmp_path)
    (tmp_path / "own.json").write_text('{"prompts": [{"frame": 3, "object": 2, "box": [1, 2, 3, 4]}]}')
    prompts, _ = read(tmp_path / "own.json")
    assert (prompts[0].frame_index, prompts[0].object_id) == (3, 2)
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"segmentation": [{}]},
        {"segmentation": "text"},
        {"segmentation": {"size": [1, 1], "counts": [1]}},
        {"segmentation": {"size": [48, 64], "counts": [[]]}},
        {"track_id": float("inf")},
    ],
)
def test_shapes_of_no_kind(tmp_path, changes):
    data = coco()
    data["annotations"][0].update(changes)
    data["images"][0].update(height=48, width=64)
    (tmp_path / "a.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="COCO"):
        read_any_prompts(tmp_path / "a.json")


def test_images_beyond_all_sizes(tmp_path):
    data = coco()
    data["annotations"][0]["segmentation"] = [[2, 2, 20, 2, 20, 20]]
    data["images"][0].update(height=10**9, width=10**9)
    (tmp_path / "a.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="at most 16384 pixels a side"):
        read_any_prompts(tmp_path / "a.json")


def test_json_nested_without_end(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="not valid JSON"):
        read_any_prompts(tmp_path / "a.json")


@pytest.mark.parametrize("names", ["names:\n  ²: dog\n", "names:\n  " + "9" * 5000 + ": dog\n"])
def test_classes_of_yolo_that_are_no_numbers(tmp_path, names):
    (tmp_path / "data.yaml").write_text(names, encoding="utf-8")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/0.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    prompts, _ = read_any_prompts(tmp_path, "first", lambda: (48, 64))
    assert prompts[0].label is None
    (tmp_path / "labels/0.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_any_prompts(tmp_path, "first", lambda: (48, 64))
