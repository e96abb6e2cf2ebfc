from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.datasets.davis import find_sequences, list_sequences, read_label_map
from streamvos.errors import InputError


def write_sequence(root: Path, name: str, label_maps: list[np.ndarray], merged: bool = False) -> None:
    for folder in ("JPEGImages", "Annotations"):
        (root / folder / "480p" / name).mkdir(parents=True)
    for index, labels in enumerate(label_maps):
        image = np.repeat(labels[..., None] * 60, 3, axis=2).astype(np.uint8)
        Image.fromarray(image).save(root / f"JPEGImages/480p/{name}/{index:05d}.jpg")
        stored = labels * 255 if merged else labels
        Image.fromarray(stored.astype(np.uint8)).save(root / f"Annotations/480p/{name}/{index:05d}.png")


def moving_square(shift: int, object_id: int = 1) -> np.ndarray:
    labels = np.zeros((48, 64), np.uint8)
    labels[10:20, 10 + shift : 20 + shift] = object_id
    return labels


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_sequence(tmp_path, "merged", [moving_square(0) for _ in range(5)], merged=True)
    two = [moving_square(5 * (index > 0)) + moving_square(30, 2) for index in range(5)]
    write_sequence(tmp_path, "two", two)
    return tmp_path


def test_reads_both_years(root: Path):
    assert np.unique(read_label_map(root / "Annotations/480p/merged/00000.png")).tolist() == [0, 1]
    assert np.unique(read_label_map(root / "Annotations/480p/two/00000.png")).tolist() == [0, 1, 2]


def test_bad_input(root: Path, tmp_path: Path):
    with pytest.raises(InputError, match="not a DAVIS folder"):
        find_sequences(tmp_path / "nowhere")
    with pytest.raises(InputError, match="did you mean 'merged'"):
        find_sequences(root, ["mergd"])
    (root / "Annotations/480p/two/00003.png").unlink()
    with pytest.raises(InputError, match="5 frames and 4 annotations.*00003"):
        find_sequences(root)


@pytest.mark.parametrize(
    "path, lines, year",
    [
        pytest.param("2017/val.txt", "two\n", 2017, id="names"),
        pytest.param(
            "480p/val.txt", "/JPEGImages/480p/two/00000.jpg /Annotations/480p/two/00000.png\n", 2016, id="frames"
        ),
    ],
)
def test_image_sets(root: Path, path: str, lines: str, year: int):
    assert list_sequences(root) == ["merged", "two"]  # without lists, all
    (root / "ImageSets" / path).parent.mkdir(parents=True)
    (root / "ImageSets" / path).write_text(lines)
    assert list_sequences(root, year=year) == ["two"]
    assert list_sequences(root, ["merged"], year=year) == ["merged"]  # what is named need not be listed
    with pytest.raises(InputError, match="unknown set .* 'vall'; did you mean 'val'"):
        list_sequences(root, year=year, image_set="vall")
    (root / "ImageSets" / path).write_text("lost\n")
    with pytest.raises(InputError, match="1 are not in .*first: lost"):
        list_sequences(root, year=year)


def test_no_sets_and_no_resolution(root: Path):
    with pytest.raises(InputError, match="--set val: expected .*2017/val.txt"):
        list_sequences(root, image_set="val")
    with pytest.raises(InputError, match="resolution.*'1080p'.*480p"):
        list_sequences(root, resolution="1080p")


def test_empty_set(tmp_path: Path):
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / kind / "480p").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no sequence folders"):
        list_sequences(tmp_path)
