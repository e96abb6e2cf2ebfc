from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.datasets.mask_sequences import MaskSequence, pair_up, read_label_map, read_labels, write_label_map
from streamvos.errors import InputError


def picture(*values: int) -> np.ndarray:
    """4x4 blocks in a row, one for each value."""
    return np.repeat(np.repeat(np.array([values], np.uint8), 4, 0), 4, 1)


def write(root: Path, maps: dict[int, np.ndarray], num_frames: int) -> MaskSequence:
    images, annotations = root / "images", root / "annotations"
    for folder in (images, annotations):
        folder.mkdir()
    shape = next(iter(maps.values())).shape
    for index in range(num_frames):
        Image.fromarray(np.zeros((*shape, 3), np.uint8)).save(images / f"{index:05d}.jpg")
    for index, labels in maps.items():
        Image.fromarray(labels).save(annotations / f"{index:05d}.png")
    return pair_up("clip", images, annotations, dense=False)


def test_frames_without_annotation(tmp_path: Path) -> None:
    sequence = write(tmp_path, {1: picture(0, 1), 3: picture(2, 1)}, 5)
    maps = list(sequence.label_maps())
    assert [labels is None for labels in maps] == [True, False, True, False, True]
    assert sequence.objects_at_first() == {1: 1}
    assert sequence.first_appearances() == {1: 1, 2: 3}
    assert len(list(sequence.images())) == 5
    sequence.check_sizes()


def test_small_objects_wait(tmp_path: Path) -> None:
    sliver = picture(1, 0)
    sliver[0, 4] = 2
    sequence = write(tmp_path, {0: sliver, 1: picture(1, 2)}, 2)
    assert sequence.first_appearances() == {1: 0, 2: 0}
    assert sequence.first_appearances(visible_px=2) == {1: 0, 2: 1}
    with pytest.raises(InputError, match="an object of 99 pixels"):
        sequence.first_appearances(visible_px=99)


def test_slivers_are_skipped_by_share_of_the_median(tmp_path: Path) -> None:
    maps = {index: picture(0, 0, 0, 0) for index in range(6)}
    for index, area in ((1, 2), (2, 7), (3, 16), (4, 20)):  # the median of what is there is 11.5
        maps[index].reshape(-1)[:area] = 3
    sequence = write(tmp_path, maps, 6)
    starts = [sequence.first_appearances(1, share)[3] for share in (0, 0.5, 0.7, 1)]
    assert starts == [1, 2, 3, 3]
    assert sequence.first_appearances(10, 0.8) == {3: 3}  # the median is 18 where fewer than 10 pixels are none
    assert sequence.first_appearances(10, 1.0) == {3: 4}


def test_255_is_the_object_of_binary_sequences_and_void_in_others(tmp_path: Path) -> None:
    (tmp_path / "binary").mkdir()
    (tmp_path / "ids").mkdir()
    binary = write(tmp_path / "binary", {0: picture(0, 255), 1: picture(0, 0), 2: picture(255, 255)}, 3)
    assert [labels[0, ::4].tolist() for labels in binary.label_maps()] == [[0, 1], [0, 0], [1, 1]]
    ids = write(tmp_path / "ids", {0: picture(1, 2, 255), 1: picture(0, 0, 255)}, 2)
    assert [labels[0, ::4].tolist() for labels in ids.label_maps()] == [[1, 2, 255], [0, 0, 255]]
    assert ids.first_appearances() == {1: 0, 2: 0}


def test_objects_as_one(tmp_path: Path) -> None:
    apart = write(tmp_path, {0: picture(3, 0, 7, 255)}, 1)
    merged = MaskSequence("clip", apart.frames, apart.annotations, merge=True)
    assert [labels[0, ::4].tolist() for labels in merged.label_maps()] == [[1, 0, 1, 255]]


def test_write_and_read_back(tmp_path: Path) -> None:
    labels = picture(0, 1, 2, 200)
    write_label_map(tmp_path / "labels.png", labels)
    assert np.array_equal(read_label_map(tmp_path / "labels.png"), labels)


def test_bad_input(tmp_path: Path) -> None:
    sequence = write(tmp_path, {0: picture(0, 1), 2: picture(0, 1)[:, :-1]}, 3)
    with pytest.raises(InputError, match="expected 8x4 pixels as its first frame, got 7x4 in .*00002.png"):
        sequence.check_sizes()
    (tmp_path / "images/00002.jpg").unlink()
    with pytest.raises(InputError, match="first without its pair: 00002"):
        pair_up("clip", tmp_path / "images", tmp_path / "annotations", dense=False)
    with pytest.raises(InputError, match="one annotation for each frame"):
        pair_up("clip", tmp_path / "images", tmp_path / "annotations", dense=True)
    with pytest.raises(InputError, match="got 0 frames"):
        pair_up("clip", tmp_path / "nowhere", tmp_path / "annotations", dense=False)
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[0, 0] = 128, 0, 0
    Image.fromarray(colours).save(tmp_path / "colours.png")
    with pytest.raises(InputError, match="palette or grey picture of ids, got colours"):
        read_labels(tmp_path / "colours.png")
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(tmp_path / "broken.png")
    empty = MaskSequence("clip", sequence.frames, (None, None, sequence.annotations[2]))
    Image.fromarray(picture(0, 0)).save(sequence.annotations[2])
    with pytest.raises(InputError, match="first annotation, got none in frame 2"):
        empty.objects_at_first()
