from pathlib import Path

import numpy as np

from eval.compose.lvos_layout import first_annotations, write_lvos
from eval.datasets.composed import FrameTruth, ObjectInfo, ObjectSeen, SequenceTruth
from eval.datasets.davis import read_label_map, write_label_map
from eval.datasets.lvos import read_split

NUM_FRAMES = 30


def truth_of(visible_px: dict[int, list[int]]) -> SequenceTruth:
    frames = tuple(
        FrameTruth(
            index,
            index / 30,
            None,
            0,
            tuple(
                ObjectSeen(key, row[index], 800, (0, 0, 20, 20) if row[index] else None)
                for key, row in visible_px.items()
            ),
        )
        for index in range(NUM_FRAMES)
    )
    objects = tuple(ObjectInfo(key, "dog", "brown", None) for key in visible_px)
    return SequenceTruth("walk", "30", NUM_FRAMES, (64, 48), 0, "short", objects, frames)


def test_an_object_is_annotated_when_enough_of_it_is_seen() -> None:
    truth = truth_of({1: [800] * 30, 2: [0] * 5 + [100] * 5 + [700] * 20, 3: [300] * 30, 4: [0] * 22 + [800] * 8})
    assert first_annotations(truth) == {1: (0, 30), 2: (10, 30)}


def test_the_reader_reads_it(tmp_path: Path) -> None:
    truth = truth_of({1: [800] * 20 + [0] * 10, 2: [100] * 10 + [700] * 20})
    labels = np.zeros((48, 64), np.uint8)
    labels[:20, :20], labels[:20, 40:60] = 1, 2
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / kind / "480p" / "walk").mkdir(parents=True)
    for index in range(NUM_FRAMES):
        (tmp_path / f"JPEGImages/480p/walk/{index:05d}.jpg").write_bytes(b"picture")
        write_label_map(tmp_path / f"Annotations/480p/walk/{index:05d}.png", labels)
    write_lvos([truth], tmp_path)
    split = read_split(tmp_path / "lvos")
    assert split.names() == ["walk"] and not split.unseen
    ranges = split.ranges["walk"]
    assert (ranges[1].start, ranges[1].end, ranges[1].num_frames) == (1, 21, 4)
    assert (ranges[2].start, ranges[2].scored()) == (11, (16, 21))
    masks = tmp_path / "lvos" / "Annotations" / "walk"
    assert np.unique(read_label_map(masks / "00000010.png")).tolist() == [0, 1]
    assert np.unique(read_label_map(masks / "00000011.png")).tolist() == [0, 1, 2]
    assert (tmp_path / "lvos/JPEGImages/walk/00000030.jpg").read_bytes() == b"picture"
