from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.datasets.imagenet_vid import CLASSES, counterparts, read_videos
from streamvos.errors import InputError
from streamvos.models import coco

OBJECT = (
    "<object><trackid>{track}</trackid><name>{name}</name><bndbox><xmax>{right}</xmax><xmin>{left}</xmin>"
    "<ymax>20</ymax><ymin>5</ymin></bndbox><occluded>0</occluded><generated>1</generated></object>"
)


def write_ilsvrc(root: Path) -> None:
    for name, count in (("ILSVRC2015_val_00000000", 2), ("ILSVRC2015_val_00000001", 3)):
        pictures, annotations = root / "Data/VID/val" / name, root / "Annotations/VID/val" / name
        pictures.mkdir(parents=True)
        annotations.mkdir(parents=True)
        for index in range(count):
            Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(pictures / f"{index:06d}.JPEG")
            things = OBJECT.format(track=0, name="n02402425", left=index, right=index + 10)
            things += OBJECT.format(track=1, name="n02129604", left=0, right=4) if index == 1 else ""
            (annotations / f"{index:06d}.xml").write_text(f"<annotation><folder>x</folder>{things}</annotation>")


def test_reads_the_original_layout(tmp_path: Path):
    write_ilsvrc(tmp_path / "ILSVRC2015")
    videos = read_videos(tmp_path)
    assert [len(video.frames) for video in videos.videos] == [2, 3]
    second = videos.videos[1]
    assert [frame.image_id for frame in second.frames] == [3, 4, 5]
    boxes = second.truth()
    assert [box["bbox"] for box in boxes] == [[0, 5, 10, 15], [1, 5, 10, 15], [0, 5, 4, 15], [2, 5, 10, 15]]
    assert [videos.categories[box["category_id"]] for box in boxes] == ["cattle", "cattle", "tiger", "cattle"]
    assert [box["instance_id"] for box in boxes] == [0, 0, 1, 0]
    (alone,) = read_videos(tmp_path, names=["ILSVRC2015_val_00000001"]).videos
    assert alone.frames == second.frames  # an image has the same id in every selection


def test_damaged_annotations_are_named(tmp_path: Path):
    write_ilsvrc(tmp_path)
    videos = read_videos(tmp_path).videos
    page = tmp_path / "Annotations/VID/val/ILSVRC2015_val_00000000/000001.xml"
    page.write_text(page.read_text().replace("n02129604", "n0"))
    with pytest.raises(InputError, match=r"000001\.xml.*known name"):
        videos[0].truth()
    page.write_text('<?xml version="1.0" encoding="none"?><annotation/>')
    with pytest.raises(InputError, match=r"000001\.xml.*annotation of a frame"):
        videos[0].truth()
    page.unlink()
    with pytest.raises(InputError, match=r"000001\.xml.*annotation of a frame"):
        videos[0].truth()


def test_pictures_without_a_number_are_named(tmp_path: Path):
    write_ilsvrc(tmp_path)
    folder = tmp_path / "Data/VID/val/ILSVRC2015_val_00000001"
    (folder / "000001.JPEG").rename(folder / "frame-1.JPEG")
    with pytest.raises(InputError, match=r"frame-1\.JPEG.*expected a frame's number"):
        read_videos(tmp_path)


def test_bad_roots(tmp_path: Path):
    with pytest.raises(InputError, match="Data/VID/val"):
        read_videos(tmp_path)
    write_ilsvrc(tmp_path)
    with pytest.raises(InputError, match="did you mean 'ILSVRC2015_val_00000001'"):
        read_videos(tmp_path, names=["ILSVRC2015_val_0000001"])


def test_every_class_has_its_counterpart_or_none():
    assert len(CLASSES) == 30
    assert all(other is None or other in coco.ID_OF for _, other in CLASSES.values())
    names = dict(enumerate((name for name, _ in CLASSES.values()), start=1))
    found = counterparts(names)
    assert len(found) == 16 and names[found["cow"]] == "cattle" and names[found["boat"]] == "watercraft"
    missing = {name for number, name in names.items() if number not in found.values()}
    assert missing == {
        *("antelope", "fox", "giant_panda", "hamster", "lion", "lizard", "monkey", "rabbit", "red_panda"),
        *("snake", "squirrel", "tiger", "turtle", "whale"),
    }


def test_coco_names_are_their_own_counterparts():
    assert counterparts({9: "person", 4: "traffic light", 5: "submarine"}) == {"person": 9, "traffic light": 4}
