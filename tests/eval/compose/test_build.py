"""A small synthetic room and a few painted things: whatever is composed of them must agree with itself."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from eval.compose.background import Background, load_background
from eval.compose.build import Order, compose, moving_share, prepare_folder
from eval.compose.cast import Casting, plan_cast
from eval.compose.cutouts import find_candidates
from eval.compose.settings import PRESETS
from eval.datasets.composed import SequenceTruth
from streamvos.errors import InputError
from streamvos.export.masks import read_mask
from streamvos.video.sources import open_source

H, W, FOCAL = 120, 160, 130.0


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 frames of a floor 1.2 m below a camera that looks down, a wall 4 m away, and a box that hides some floor."""
    folder = tmp_path_factory.mktemp("room")
    texture = np.random.default_rng(0).integers(40, 220, (64, 64, 3), np.uint8)
    (folder / "camera-intrinsics.txt").write_text(f"{FOCAL} 0 {W / 2}\n0 {FOCAL} {H / 2}\n0 0 1\n")
    for index in range(8):
        pose = np.eye(4)
        pitch = 0.3
        pose[1:3, 1:3] = [[np.cos(pitch), np.sin(pitch)], [-np.sin(pitch), np.cos(pitch)]]
        pose[0, 3] = 0.03 * index
        depth, image = _cast_rays(pose, texture)
        stem = folder / f"frame-{index:06d}"
        cv2.imwrite(f"{stem}.color.png", image)
        cv2.imwrite(f"{stem}.depth.png", np.rint(depth * 1000).astype(np.uint16))
        np.savetxt(f"{stem}.pose.txt", pose)
    return folder


def _cast_rays(pose: np.ndarray, texture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.mgrid[:H, :W]
    rays = np.stack([(cols - W / 2) / FOCAL, (rows - H / 2) / FOCAL, np.ones((H, W))], -1) @ pose[:3, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = np.where(rays[..., 1] > 0, 1.2 / rays[..., 1], np.inf)
        wall = 4 / rays[..., 2]
        front = 1.8 / rays[..., 2]
    at = rays * front[..., None] + pose[:3, 3]
    on_box = (np.abs(at[..., 0] - 0.5) < 0.3) & (at[..., 1] > 0.5) & (at[..., 1] < 1.2)
    depth = np.minimum(np.minimum(floor, wall), np.where(on_box, front, np.inf))
    points = rays * depth[..., None] + pose[:3, 3]
    image = texture[(points[..., 0] * 20).astype(int) % 64, ((points[..., 1] + points[..., 2]) * 20).astype(int) % 64]
    return depth, image


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Painted ovals, pictures in a folder with the name of their class, masks beside."""
    folder = tmp_path_factory.mktemp("things")
    (folder / "dog").mkdir()
    (folder / "mask").mkdir()
    for index, colour in enumerate([(40, 40, 220), (200, 90, 30), (60, 200, 60)]):
        image = np.full((160, 180, 3), 128, np.uint8)
        mask = np.zeros((160, 180), np.uint8)
        cv2.ellipse(mask, (90, 80), (60, 50 + 5 * index), 0, 0, 360, 1, -1)
        image[mask > 0] = colour
        cv2.imwrite(str(folder / "dog" / f"{index}.png"), image)
        cv2.imwrite(str(folder / "mask" / f"{index}.png"), mask)
    return folder


def _order(room: Path, things: Path, preset: str = "short", frames: int = 24, sequences: int = 1) -> Order:
    return Order(room, ((things, None),), PRESETS[preset], frames, sequences, seed=3, any_object=True)


@pytest.fixture(scope="module")
def made(room: Path, things: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[SequenceTruth]]:
    out = tmp_path_factory.mktemp("made") / "out"
    return out, compose(_order(room, things, "degraded", 60), out)


def _hashes(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes(room: Path, things: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        compose(_order(room, things, frames=12, sequences=2), tmp_path / name)
    first, second = _hashes(tmp_path / "a"), _hashes(tmp_path / "b")
    assert first == second
    assert len(first) > 100


def test_another_seed_gives_other_pictures(room: Path, things: Path, tmp_path: Path) -> None:
    order = _order(room, things, frames=6)
    compose(order, tmp_path / "a")
    compose(Order(*[*vars(order).values()][:5], 4, any_object=True), tmp_path / "b")
    name = "JPEGImages/480p/short-00/00003.jpg"
    assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "b" / name).read_bytes()


def test_masks_truth_and_boxes_agree(made: tuple[Path, list[SequenceTruth]]) -> None:
    out, (truth,) = made
    assert SequenceTruth.load(out / "truth" / f"{truth.sequence}.json") == truth
    full = {
        thing.id: json.loads((out / "Full" / truth.sequence / f"{thing.id}.json").read_text())["frames"]
        for thing in truth.objects
    }
    some_hidden = False
    for frame in truth.frames:
        labels = read_mask(out / "Annotations/480p" / truth.sequence / f"{frame.frame:05d}.png")
        assert labels.shape == (H, W)
        seen = {each.id: each for each in frame.objects}
        assert set(np.unique(labels)) - {0} <= set(seen)
        for number, rles in full.items():
            rle = rles[frame.frame]
            assert (rle is None) == (number not in seen)
            if rle is None:
                continue
            whole, visible = coco_mask.decode(rle) > 0, labels == number
            assert not (visible & ~whole).any()
            assert (visible.sum(), whole.sum()) == (seen[number].visible_px, seen[number].full_px)
            some_hidden |= seen[number].visible_px < 0.7 * seen[number].full_px
            if visible.any():
                rows, cols = np.nonzero(visible)
                box = (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
                assert seen[number].box_xyxy == tuple(int(side) for side in box)
    assert some_hidden, "nothing hid anything: the test shows less than it should"


def test_layouts_tell_the_same(made: tuple[Path, list[SequenceTruth]]) -> None:
    out, (truth,) = made
    name = truth.sequence
    document = json.loads((out / "annotations/cocovid.json").read_text())
    assert [image["frame_id"] for image in document["images"]] == list(range(60))
    assert all((out / image["file_name"]).is_file() for image in document["images"])
    visible = [(f.frame, s) for f in truth.frames for s in f.objects if s.box_xyxy]
    assert [each["area"] for each in document["annotations"]] == [seen.visible_px for _, seen in visible]
    lines = (out / "mot" / name / "gt" / "gt.txt").read_text().splitlines()
    there = [(f.frame, s) for f in truth.frames for s in f.objects]  # whole boxes, hidden ones too
    assert [line.split(",")[:2] for line in lines] == [[str(frame + 1), str(seen.id)] for frame, seen in there]
    shares = [float(line.split(",")[8]) for line in lines]
    assert all((share > 0) == (seen.box_xyxy is not None) for share, (_, seen) in zip(shares, there, strict=True))
    assert "seqLength=60" in (out / "mot" / name / "seqinfo.ini").read_text()
    for frame in (0, 37, 59):
        labels = read_mask(out / "Annotations/480p" / name / f"{frame:05d}.png")
        moving = cv2.imread(str(out / "cdnet" / name / "groundtruth" / f"gt{frame + 1:06d}.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(moving, np.where(labels > 0, 255, 0))
        picture = out / "JPEGImages/480p" / name / f"{frame:05d}.jpg"
        assert (out / "cdnet" / name / "input" / f"in{frame + 1:06d}.jpg").read_bytes() == picture.read_bytes()
    assert (out / "cdnet" / name / "temporalROI.txt").read_text().split() == ["1", "60"]


def test_depth_holds_the_objects(made: tuple[Path, list[SequenceTruth]], room: Path) -> None:
    out, (truth,) = made
    empty = load_background(room)
    nearest = np.min([depth.min() for depth in empty.depths_m])
    with open_source(out / "rgbd" / truth.sequence) as source:
        frames = list(source)
    assert len(frames) == 60
    assert (out / "rgbd" / truth.sequence / "frame-000059.pose.txt").is_file()
    for frame in frames[::10]:
        labels = read_mask(out / "Annotations/480p" / truth.sequence / f"{frame.index:05d}.png")
        assert frame.depth_m[labels == 0].min() >= nearest - 0.001
        assert np.isfinite(frame.depth_m).all() and (frame.depth_m[labels > 0] > 0).all()


def test_frozen_frames_repeat_and_dropped_ones_leave_a_gap(made: tuple[Path, list[SequenceTruth]]) -> None:
    out, (truth,) = made
    ticks = [Fraction(frame.time_s).limit_denominator(1000) * 30 for frame in truth.frames]
    assert all(tick.denominator == 1 for tick in ticks)
    for before, frame, step in zip(truth.frames, truth.frames[1:], np.diff(ticks), strict=False):
        assert step == 1 or frame.degradation == "dropped"
        if frame.degradation == "frozen":
            assert frame.objects == before.objects
    assert sum(frame.degradation is not None for frame in truth.frames) > 10


def test_an_interrupt_leaves_only_whole_sequences(room: Path, things: Path, tmp_path: Path) -> None:
    def stop(name: str) -> None:
        if name == "short-01":
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        compose(_order(room, things, frames=6, sequences=2), out, stop)
    assert [path.stem for path in (out / "truth").iterdir()] == ["short-00"]
    assert [path.name for path in (out / "JPEGImages/480p").iterdir()] == ["short-00"]
    assert [video["name"] for video in json.loads((out / "annotations/cocovid.json").read_text())["videos"]] == [
        "short-00"
    ]
    with pytest.raises(InputError, match="--overwrite"):
        prepare_folder(out, overwrite=False)
    prepare_folder(out, overwrite=True)
    assert not any(out.iterdir())


def test_where_nothing_can_be_written(room: Path, things: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write into"):
        compose(_order(room, things), tmp_path / "file" / "out")


def test_a_folder_of_others_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="nothing in it is touched"):
        prepare_folder(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").is_file()


def test_dynamic_moves_enough(room: Path, things: Path, tmp_path: Path) -> None:
    (truth,) = compose(_order(room, things, "dynamic", 30), tmp_path / "out")
    assert moving_share(truth) >= 0.15


def test_long_objects_stay_away_and_come_back(room: Path, things: Path) -> None:
    background: Background = load_background(room)
    casting = Casting(find_candidates([(things, None)]))
    plan = plan_cast(background, casting, PRESETS["long"], 3000, 5)
    assert any(actor.twin_of for actor in plan.actors)
    gaps = [
        later.start - earlier.end
        for actor in plan.actors
        for earlier, later in zip(actor.visits, actor.visits[1:], strict=False)
    ]
    assert gaps and min(gaps) >= 200
