"""The ground truth that `eval` reads: MOT, CDnet, VOTS, LVOS, DAVIS, ImageNet VID, CocoVID and composed benchmarks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from eval.datasets import cdnet, davis, imagenet_vid, longvideos, lvos, mot
from eval.datasets.composed import SequenceTruth
from eval.datasets.vot_regions import read_trajectory
from eval.metrics.mot import score_tracks
from eval.vot.sequences import read_sequence, write_sequence
from eval.vot.workspace import Workspace
from tests.tools.fuzz.target import Target
from tests.tools.fuzz.targets.images import picture
from tests.tools.fuzz.targets.masks import with_palette

_BOXES = "1,1,2,3,10,12,1,1,1\n1,2,20,3,10,12,1,1,0.5\n2,1,3,3,10,12,1,1,1\n3,1,4,3,10,12,1,1,1\n"
_RESULTS = "1,1,2,3,10,12,0.9,-1,-1,-1\n2,1,3,3,10,12,0.8,-1,-1,-1\n3,2,4,3,10,12,1,-1,-1,-1\n"
_VID = """<annotation><folder>clip</folder><filename>000000</filename><size><width>32</width><height>24</height></size>
<object><trackid>0</trackid><name>n02084071</name><bndbox><xmax>20</xmax><xmin>2</xmin><ymax>20</ymax><ymin>3</ymin>
</bndbox><occluded>0</occluded></object></annotation>"""
_COCOVID = {
    "videos": [{"id": 1, "name": "clip"}],
    "images": [
        {"id": 1, "video_id": 1, "frame_id": 0, "file_name": "clip/0.png"},
        {"id": 2, "video_id": 1, "frame_id": 1, "file_name": "clip/1.png", "degradation": "blur", "strength": 2},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "instance_id": 3, "bbox": [1, 2, 10, 12], "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 1, "instance_id": 3, "bbox": [2.5, 2, 10, 12]},
    ],
    "categories": [{"id": 1, "name": "dog"}],
}
_COMPOSED = {
    "sequence": "clip", "fps": "30", "num_frames": 2, "size": [32, 24], "seed": 1, "preset": "short",
    "objects": [{"id": 1, "class": "dog", "colour": "brown", "twin_of": None}],
    "frames": [
        {"frame": number, "time_s": number / 30, "degradation": None, "strength": 0, "objects": [
            {"id": 1, "visible_px": 80, "full_px": 100, "box_xyxy": [1, 2, 10, 12]}]}
        for number in range(2)
    ],
}  # fmt: skip
_NUM_FRAMES = 3


def _sequence(images: Path, masks: Path, image: str, mask: str) -> None:
    """Frames and label maps, named by patterns of their number."""
    for folder in (images, masks):
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, _NUM_FRAMES + 1):
        picture(number).save(images / image.format(number), format=None if "." in image else "png")
        with_palette().save(masks / mask.format(number))


def _make_mot(folder: Path) -> None:
    (folder / "MOT17-01" / "gt").mkdir(parents=True)
    (folder / "MOT17-01" / "seqinfo.ini").write_text(
        "[Sequence]\nname=MOT17-01\nimDir=img1\nframeRate=29.97\nseqLength=3\nimWidth=32\nimHeight=24\nimExt=.jpg\n"
    )
    (folder / "MOT17-01" / "gt" / "gt.txt").write_text(_BOXES)
    (folder / "results").mkdir()
    (folder / "results/MOT17-01.txt").write_text(_RESULTS)


def _read_mot(folder: Path) -> object:
    return [score_tracks(one, folder / "results/MOT17-01.txt") for one in mot.find_sequences(folder)]


def _make_cdnet(folder: Path) -> None:
    _sequence(folder / "base/way/input", folder / "base/way/groundtruth", "in{:06d}.jpg", "gt{:06d}.png")
    (folder / "base/way/temporalROI.txt").write_text("2 3")


def _read_cdnet(folder: Path) -> object:
    return [video.labels(number) for video in cdnet.find_videos(folder) for number in video.numbers]


def _make_davis(folder: Path) -> None:
    _sequence(folder / "JPEGImages/480p/clip", folder / "Annotations/480p/clip", "{:05d}.jpg", "{:05d}.png")
    (folder / "ImageSets/2017").mkdir(parents=True)
    (folder / "ImageSets/2017/val.txt").write_text("clip\n")


def _read_davis(folder: Path) -> object:
    came = []
    for one in davis.find_sequences(folder):
        one.check_sizes()
        came += [one.objects_at_first(), one.first_appearances(), list(one.label_maps()), list(one.images())]
    return came


def _make_lvos(folder: Path) -> None:
    _sequence(folder / "JPEGImages/clip", folder / "Annotations/clip", "{:08d}.jpg", "{:08d}.png")
    meta = {"videos": {"clip": {"objects": {"1": {"frame_range": {"start": 1, "end": 11, "frame_nums": 3}}}}}}
    (folder / "valid_meta.json").write_text(json.dumps(meta))
    (folder / "unseen_videos.txt").write_text("clip\nother\n")


def _read_lvos(folder: Path) -> object:
    split = lvos.read_split(folder)
    came = []
    for name in split.names():
        sequence = split.sequence(name)
        came += [lvos.frame_numbers(sequence), list(sequence.label_maps())]
        came += [one.scored() for one in split.ranges[name].values()]
    return came


def _make_vots(folder: Path) -> None:
    _sequence(folder / "J", folder / "A", "{:08d}.jpg", "{:08d}.png")
    write_sequence(longvideos.pair_up("clip", folder / "J", folder / "A", True), folder / "sequences/clip")
    (folder / "config.yaml").write_text("registry: [./trackers.ini]\n")
    (folder / "sequences/list.txt").write_text("clip\n")
    results = folder / "results/ours/baseline/clip"
    results.mkdir(parents=True)
    for path in (folder / "sequences/clip").glob("groundtruth_*.txt"):
        (results / path.name.replace("groundtruth", "clip")).write_bytes(path.read_bytes())


def _read_vots(folder: Path) -> object:
    workspace = Workspace(folder)
    came = []
    for name in workspace.sequence_names():
        sequence = workspace.sequence(name)
        came += [sequence.starts(), [list(one) for one in sequence.objects.values()]]
    came += [list(read_trajectory(path)) for path in (folder / "results").rglob("*.txt")]
    return came, read_sequence(folder / "sequences/clip")


def _make_vid(folder: Path) -> None:
    (folder / "Data/VID/val/clip").mkdir(parents=True)
    (folder / "Annotations/VID/val/clip").mkdir(parents=True)
    for number in range(2):
        picture(number).save(folder / f"Data/VID/val/clip/{number:06d}.JPEG")
        (folder / f"Annotations/VID/val/clip/{number:06d}.xml").write_text(_VID)


def _make_cocovid(folder: Path) -> None:
    (folder / "JPEGImages/480p/clip").mkdir(parents=True)
    (folder / "annotations").mkdir()
    (folder / "truth").mkdir()
    for number in range(2):
        picture(number).save(folder / f"JPEGImages/480p/clip/{number}.png")
    (folder / "annotations/cocovid.json").write_text(json.dumps(_COCOVID))
    (folder / "truth/clip.json").write_text(json.dumps(_COMPOSED))


def _read_videos(folder: Path) -> object:
    found = imagenet_vid.read_videos(folder)
    imagenet_vid.counterparts(found.categories)
    return [(video.truth(), list(video.images())) for video in found.videos]


def _make_composed(folder: Path) -> None:
    (folder / "clip.json").write_text(json.dumps(_COMPOSED))


def _read_composed(folder: Path) -> object:
    return [SequenceTruth.load(path) for path in folder.iterdir()]


_SETS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    "mot": (_make_mot, _read_mot),
    "cdnet": (_make_cdnet, _read_cdnet),
    "davis": (_make_davis, _read_davis),
    "lvos": (_make_lvos, _read_lvos),
    "vots": (_make_vots, _read_vots),
    "vid": (_make_vid, _read_videos),
    "cocovid": (_make_cocovid, _read_videos),
    "composed": (_make_composed, _read_composed),
}


def _target(name: str) -> Target:
    make, read = _SETS[name]

    def make_corpus(folder: Path) -> None:
        (folder / name).mkdir()
        make(folder / name)

    return Target(name, make_corpus, read)


TARGETS = [_target(name) for name in _SETS]
