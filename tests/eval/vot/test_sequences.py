"""DAVIS-like folders as VOT sequences."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.datasets.davis import find_sequences, write_label_map
from eval.datasets.vot_regions import Mask, Special, in_frame
from eval.vot.sequences import read_sequence, write_sequence
from streamvos.errors import InputError


def test_what_is_written_is_read_back(davis: Path, tmp_path: Path) -> None:
    for sequence in find_sequences(davis):
        write_sequence(sequence, tmp_path / sequence.name)
        read = read_sequence(tmp_path / sequence.name)
        assert read.name == sequence.name and read.size == (64, 80)
        assert [path.read_bytes() for path in read.frames] == [path.read_bytes() for path in sequence.frames]
        for index, labels in enumerate(sequence.label_maps()):
            for name, truth in read.objects.items():
                if isinstance(truth[index], Mask):
                    assert np.array_equal(in_frame(truth[index], read.size), labels == int(name))
                else:
                    assert not (labels == int(name)).any()
            if read.ignore is not None:
                assert np.array_equal(in_frame(read.ignore[index], read.size), labels == 255)


def test_objects_are_unknown_before_they_come_and_empty_while_away(davis: Path, tmp_path: Path) -> None:
    (sequence,) = find_sequences(davis, ["pair"])
    write_sequence(sequence, tmp_path / "pair")
    lines = (tmp_path / "pair" / "groundtruth_3.txt").read_text().split()
    assert lines[:2] == ["0", "0"] and lines[4] == "m0,0,0,0,0" and lines[5].startswith("m")
    read = read_sequence(tmp_path / "pair")
    assert read.starts() == {"1": 0, "3": 2} and read.ignore is not None
    assert read.objects["3"][0] == Special(0)
    assert read.result_name("3") == "pair_3_001"


def test_one_object_has_no_name_in_its_results(davis: Path, tmp_path: Path) -> None:
    (sequence,) = find_sequences(davis, ["single"])
    write_sequence(sequence, tmp_path / "single")
    read = read_sequence(tmp_path / "single")
    assert read.result_name("1") == "single_001" and read.ignore is None


def test_an_object_begins_where_it_is_more_than_a_line(tmp_path: Path) -> None:
    """The toolkit reads a mask one pixel wide as an empty one, which no tracker can follow."""
    root = tmp_path / "davis"
    for part in ("JPEGImages", "Annotations"):
        (root / part / "480p" / "thin").mkdir(parents=True)
    for index in range(2):
        labels = np.zeros((20, 20), np.uint8)
        labels[5:15, 5 : 6 + index] = 1
        Image.new("RGB", (20, 20)).save(root / f"JPEGImages/480p/thin/{index:05d}.jpg")
        write_label_map(root / f"Annotations/480p/thin/{index:05d}.png", labels)
    (sequence,) = find_sequences(root)
    write_sequence(sequence, tmp_path / "thin")
    assert read_sequence(tmp_path / "thin").starts() == {"1": 1}
    (root / "Annotations/480p/thin/00001.png").unlink()
    (root / "JPEGImages/480p/thin/00001.jpg").unlink()
    (sequence,) = find_sequences(root)
    with pytest.raises(InputError, match="at least two pixels wide and high"):
        write_sequence(sequence, tmp_path / "none")


def test_an_object_is_given_when_enough_of_it_is_seen(davis: Path, tmp_path: Path) -> None:
    (sequence,) = find_sequences(davis, ["pair"])
    write_sequence(sequence, tmp_path / "pair", visible_px=380)
    assert read_sequence(tmp_path / "pair").starts() == {"1": 0}
    with pytest.raises(InputError, match="sequence pair: expected an object .* of 2000 pixels or more"):
        write_sequence(sequence, tmp_path / "pair", visible_px=2000)


def test_frames_without_annotation_are_unknown(davis: Path, tmp_path: Path) -> None:
    (sequence,) = find_sequences(davis, ["single"])
    kept = tuple(path if index % 2 == 0 else None for index, path in enumerate(sequence.annotations))
    write_sequence(dataclasses.replace(sequence, annotations=kept), tmp_path / "single")
    regions = read_sequence(tmp_path / "single").objects["1"]
    assert [isinstance(region, Special) for region in regions] == [False, True] * 3


def test_only_tagged_frames_are_scored(davis: Path, tmp_path: Path) -> None:
    (sequence,) = find_sequences(davis, ["single"])
    write_sequence(sequence, tmp_path / "single")
    truth = {"1": [Special(1), *read_sequence(tmp_path / "single").objects["1"][1:]]}
    assert read_sequence(tmp_path / "single").score(truth).quality == pytest.approx(5 / 6)
    (tmp_path / "single" / "evaluation.tag").write_text("0\n1\n1\n")
    read = read_sequence(tmp_path / "single")
    assert read.scored == [False, True, True, False, False, False] and read.score(truth).quality == 1.0


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a VOT sequence"):
        read_sequence(tmp_path)
