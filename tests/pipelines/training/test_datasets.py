"""Readers of pictures and clips, on files written here and now."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines.training.datasets import ClipFolder, read_ccp, read_coco, read_horses, split
from streamvos.errors import InputError


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


def photo(height: int = 80, width: int = 120) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_ccp_gives_the_person_and_its_parts(tmp_path: Path) -> None:
    labels = np.zeros((80, 120), np.uint8)
    labels[10:40, 20:60], labels[40:70, 20:60], labels[0:3, 0:3] = 41, 7, 9  # the last is too small to follow
    write(tmp_path / "photos" / "0001.jpg", photo())
    write(tmp_path / "labels" / "0001.png", labels)
    (picture,) = read_ccp(tmp_path, 80)
    assert [region.name for region in picture.regions] == ["person", "ccp-7", "ccp-41"]
    assert picture.regions[0].mask.sum() == (labels > 0).sum() and picture.whole == picture.regions[:1]


def test_coco_polygons_become_masks_and_bad_lines_are_named(tmp_path: Path) -> None:
    write(tmp_path / "images" / "train" / "a.jpg", photo())
    labels = tmp_path / "labels" / "train" / "a.txt"
    labels.parent.mkdir(parents=True)
    labels.write_text("16 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n")
    (picture,) = read_coco(tmp_path, 80)
    assert picture.regions[0].name == "coco-16"
    assert picture.regions[0].mask.mean() == pytest.approx(0.25, abs=0.02)
    labels.write_text("16 0.25 0.25 0.75\n")
    with pytest.raises(InputError, match=r"a\.txt: expected lines of class and x y pairs"):
        read_coco(tmp_path, 80)


def test_horses_are_binary(tmp_path: Path) -> None:
    mask = np.zeros((80, 120), np.uint8)
    mask[10:60, 10:100] = 1
    write(tmp_path / "horse" / "h1.jpg", photo())
    write(tmp_path / "mask" / "h1.png", mask)
    (picture,) = read_horses(tmp_path, 80)
    assert picture.regions[0].mask.sum() == mask.sum()


def test_clips_are_sampled_in_order_of_time_or_back(tmp_path: Path) -> None:
    for index in range(12):
        write(tmp_path / "JPEGImages" / "480p" / "dog" / f"{index:05d}.jpg", np.full((40, 60, 3), 20 * index, np.uint8))
        label = np.zeros((40, 60), np.uint8)
        label[10:30, 10:40] = 255
        write(tmp_path / "Annotations" / "480p" / "dog" / f"{index:05d}.png", label)
    clips = ClipFolder(tmp_path)
    for seed in range(8):
        frames, labels = clips.sample(np.random.default_rng(seed), 4)
        levels = [int(frame.mean()) for frame in frames]
        assert levels == sorted(levels) or levels == sorted(levels, reverse=True)
        assert len(set(levels)) == 4 and labels[0].max() == 255


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected JPEGImages/480p/NAME"):
        ClipFolder(tmp_path)
    with pytest.raises(InputError, match="found none"):
        read_ccp(tmp_path, 80)


def test_every_tenth_picture_is_set_apart() -> None:
    kept, held_out = split(list(range(25)))
    assert held_out == [0, 10, 20] and sorted(kept + held_out) == list(range(25))


def test_the_shared_data_are_read(data_dir: Path) -> None:
    ccp, coco = read_ccp(data_dir / "ccp", 64), read_coco(data_dir / "coco128-seg", 320)
    assert len(ccp) > 400 and len(coco) > 110
    assert all(region.mask.shape == picture.image.shape[:2] for picture in ccp + coco for region in picture.regions)
