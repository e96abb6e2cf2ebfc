"""One reader for all sources of masks, and the tenth of each that is set apart."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines.training.datasets import read_ccp, read_coco, split
from pipelines.training.held_out import is_held_out
from pipelines.training.mask_sources import pictures_apart, read_label_maps, read_source
from streamvos.errors import InputError


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


def photo(height: int = 80, width: int = 120) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def label_maps(folder: Path, names: list[str], partial: bool = False) -> Path:
    """Pictures with a sofa of two parts, a whole pot, a small cup and a crowd."""
    labels = np.zeros((80, 120), np.uint8)
    labels[5:30, 5:30], labels[5:30, 40:60], labels[40:75, 5:45], labels[40:50, 60:65] = 1, 1, 2, 3
    labels[60:75, 80:110] = 255
    for name in names:
        write(folder / "images" / f"{name}.jpg", photo())
        write(folder / "masks" / f"{name}.png", labels)
    each = {"size": [120, 80], "classes": ["sofa", "flower_pot_(big)", "cup"]}
    table = {"partial": partial, "images": dict.fromkeys(names, each)}
    (folder / "labels.json").write_text(json.dumps(table))
    return folder


def test_label_maps_give_instances_with_classes_and_what_is_unknown(tmp_path: Path) -> None:
    folder = label_maps(tmp_path, [f"p{index}" for index in range(30)])
    learned, held_out = read_source(folder, 80)
    assert len(learned) + len(held_out) == 30 and held_out
    assert all(is_held_out(picture.path.stem) for picture in held_out)
    none, alone = read_source(folder, 80, held_out_only=True)
    assert none == [] and [one.path for one in alone] == [one.path for one in held_out]
    picture = learned[0]
    assert [region.name for region in picture.regions] == [
        "flower pot",
        "couch",
    ]  # the largest first, no cup: too small
    assert [region.name for region in picture.whole] == ["flower pot"]  # nothing stands before it
    assert picture.void is not None and picture.void.sum() == 15 * 30
    assert picture.lacks("dog") and not picture.lacks("cup") and not picture.lacks("couch")


def test_a_picture_without_a_whole_instance_gives_its_largest(tmp_path: Path) -> None:
    labels = np.zeros((80, 120), np.uint8)
    labels[5:30, 5:40], labels[5:30, 60:110] = 1, 1
    folder = label_maps(tmp_path, ["a"])
    write(folder / "masks" / "a.png", labels)
    (picture,) = sum(read_source(folder, 80), [])
    assert [region.name for region in picture.whole] == ["couch"]


def test_where_not_all_is_labelled_nothing_is_known_to_be_absent(tmp_path: Path) -> None:
    learned, held_out = read_source(label_maps(tmp_path, ["a", "b"], partial=True), 80)
    assert not any(picture.lacks("dog") for picture in learned + held_out)


def test_drawn_objects_have_no_surroundings(tmp_path: Path) -> None:
    pixels = np.zeros((60, 60, 4), np.uint8)
    pixels[10:50, 20:40] = (10, 20, 200, 255)
    write(tmp_path / "ball.png", pixels)
    (picture,) = sum(read_source(tmp_path, 80), [])
    assert not picture.has_surroundings and picture.whole[0].mask.sum() == 40 * 20
    assert picture.image[30, 30].tolist() == [200, 20, 10]


def test_bad_label_maps_are_told(tmp_path: Path) -> None:
    folder = label_maps(tmp_path, ["a"])
    write(folder / "masks" / "a.png", np.full((80, 120), 4, np.uint8))
    with pytest.raises(InputError, match=r"a\.png: expected one channel and labels up to 3, .* up to 4"):
        list(read_label_maps(folder))
    (folder / "masks" / "a.png").unlink()
    with pytest.raises(InputError, match="names 'a'; expected"):
        list(read_label_maps(folder))
    (folder / "labels.json").write_text("{}")
    with pytest.raises(InputError, match='expected "partial" and "images"'):
        list(read_label_maps(folder))
    with pytest.raises(InputError, match="expected label maps"):
        read_source(tmp_path / "masks", 80)


def test_a_tenth_is_held_out_by_name_wherever_the_picture_lies(tmp_path: Path) -> None:
    assert np.mean([is_held_out(f"{index:012d}") for index in range(1000, 6000)]) == pytest.approx(0.1, abs=0.015)
    names = [f"{index:012d}" for index in (9, 25, 30, *range(700, 740))]
    sides = [pictures_apart(label_maps(tmp_path / place, names[start:])) for place, start in (("all", 0), ("some", 8))]
    stems = [[{path.stem for path in side} for side in both] for both in sides]
    assert not stems[0][0] & stems[0][1] and stems[0][0] | stems[0][1] == set(names)
    assert stems[1][1] <= stems[0][1] and stems[1][0] <= stems[0][0]
    assert {"000000000009"} <= stems[0][1] and {"000000000025", "000000000030"} <= stems[0][0]  # as in COCO128


def test_what_coco128_sets_apart_is_held_out_by_name_too(data_dir: Path) -> None:
    training, held_out = pictures_apart(data_dir / "coco128-seg")
    assert all(is_held_out(path.stem) for path in held_out) and not any(is_held_out(path.stem) for path in training)


def test_others_learn_which_pictures_are_set_apart(tmp_path: Path) -> None:
    person = np.zeros((400, 500), np.uint8)
    person[50:350, 100:300] = 7
    for index in range(23):
        write(tmp_path / "ccp" / "photos" / f"{index:04d}.jpg", np.full((400, 500, 3), 90, np.uint8))
        label = person if index != 4 else np.zeros_like(person)  # nobody there: skipped before every tenth is counted
        write(tmp_path / "ccp" / "labels" / f"{index:04d}.png", label)
    training, held_out = pictures_apart(tmp_path / "ccp")
    kept, validation = split(read_ccp(tmp_path / "ccp", 320))
    assert sorted(path.stem for path in held_out) == ["0000", "0011", "0021"]
    assert [picture.path.stem for picture in validation] == ["0000", "0011", "0021"]
    assert {picture.path.resolve() for picture in kept} == training
    write(tmp_path / "horses" / "horse" / "1.jpg", photo())
    write(tmp_path / "horses" / "mask" / "1.png", photo())
    assert pictures_apart(tmp_path / "horses") is None


def test_what_trainings_see_at_one_size_only_is_on_neither_side(tmp_path: Path) -> None:
    """A region of just enough pixels for one training and too few for the other moves all that come after it."""
    (tmp_path / "images" / "t").mkdir(parents=True)
    (tmp_path / "labels" / "t").mkdir(parents=True)
    large = "16 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"
    between = 23 / 360  # squared: 529 pixels at a short side of 360, about 420 at 320
    small = f"16 0.5 0.5 {0.5 + between} 0.5 {0.5 + between} {0.5 + between} 0.5 {0.5 + between}\n"
    for index in range(22):
        write(tmp_path / "images" / "t" / f"{index:02d}.jpg", np.full((720, 720, 3), 90, np.uint8))
        (tmp_path / "labels" / "t" / f"{index:02d}.txt").write_text(small if index == 3 else large)
    at_320, at_360 = ([p.path.stem for p in split(read_coco(tmp_path, side))[1]] for side in (320, 360))
    assert at_320 == ["00", "11", "21"] and at_360 == ["00", "10", "20"]
    training, held_out = pictures_apart(tmp_path)
    assert [path.stem for path in held_out] == ["00"]
    assert not {"03", "10", "11", "20", "21"} & {path.stem for path in training} and len(training) == 16


def test_the_shared_label_maps_are_read(data_dir: Path) -> None:
    learned, held_out = read_source(data_dir / "coco_open" / "lvis", 320)
    assert len(learned) > 40 and 1 <= len(held_out) <= 15
    assert all(region.mask.shape == one.image.shape[:2] for one in learned + held_out for region in one.regions)
