"""Each kind of contradiction by hand: one frame or two of 100x100, objects and detections as boxes."""

import dataclasses

import numpy as np
import pytest

from eval.metrics.consistency import KINDS, ConsistencyJudge, num_visible
from eval.metrics.mask_pieces import far_pieces
from streamvos.masks import encode, tight_box
from streamvos.models.coco import ID_OF
from streamvos.records import Detections, Frame, ObjectMasks, StepResult

SIZE = (100, 100)
LEFT, RIGHT = (10, 10, 40, 60), (50, 10, 80, 60)


def mask_of(*boxes):
    mask = np.zeros(SIZE, bool)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = True
    return mask


def result_of(*objects, index=0, shot=0):
    """Objects as (class, box, ...) in order of id; one without a box is lost."""
    masks = [mask_of(*boxes) for _, *boxes in objects]
    envelope = StepResult.of(Frame("s", index, index / 10, np.zeros((*SIZE, 3), np.uint8)))
    followed = ObjectMasks(
        SIZE,
        list(range(1, len(objects) + 1)),
        [encode(mask) for mask in masks],
        np.array([tight_box(mask) for mask in masks], np.float32).reshape(-1, 4),
        np.ones(len(objects), np.float32),
        ["tracked" if mask.any() else "lost" for mask in masks],
        [name for name, *_ in objects],
    )
    return dataclasses.replace(envelope, masks=followed, shot_index=shot)


def found_of(*found):
    """Detections as (class, box, score)."""
    boxes = np.array([box for _, box, _ in found], np.float32).reshape(-1, 4)
    names = tuple(name for name, _, _ in found)
    ids = np.array([ID_OF[name] for name in names], np.int64)
    return Detections(boxes, [score for *_, score in found], ids, names, np.full(len(found), -1, np.int64))


def kinds(objects, found):
    return [one.kind for one in ConsistencyJudge().step(result_of(*objects), found_of(*found))]


DOG, HALVES = ("dog", LEFT), ((10, 10, 40, 35), (10, 35, 40, 60))
BOTH = ("dog", LEFT, RIGHT)
TWO = (("dog", LEFT, 0.9), ("dog", RIGHT, 0.9))
CASES = {
    "agree": ([DOG], [("dog", LEFT, 0.9)], []),
    "nothing": ([], [], []),
    "unexplained": ([DOG], [("dog", RIGHT, 0.9)], ["unexplained"]),
    "unexplained, another class beside": ([DOG], [("cat", (10, 10, 90, 60), 0.9)], ["unexplained"]),
    "not sure": ([DOG], [("dog", RIGHT, 0.69)], []),
    "explained by a part of its class": ([DOG], [("dog", (10, 10, 90, 60), 0.9)], []),
    "explained by many of its class": ([DOG, ("dog", RIGHT)], [("dog", (0, 0, 90, 95), 0.9)], []),
    "class": ([DOG], [("cat", LEFT, 0.9)], ["class"]),
    "class, not sure": ([DOG], [("cat", LEFT, 0.6)], []),
    "class, its own is there too": ([DOG], [("cat", LEFT, 0.9), ("dog", LEFT, 0.5)], []),
    "class, another object fits better": ([("dog", (10, 10, 40, 50)), ("cat", LEFT)], [("cat", LEFT, 0.9)], []),
    "class unknown": ([("", LEFT)], [("cat", LEFT, 0.9)], []),
    "merged": ([BOTH], TWO, ["merged"]),
    "merged, close to each other": ([BOTH], [TWO[0], ("dog", (20, 10, 50, 60), 0.9)], []),
    "merged, of another class": ([("cat", LEFT, (40, 10, 80, 60))], [("dog", LEFT, 0.9), ("dog", RIGHT, 0.9)], None),
    "each its own": ([DOG, ("dog", RIGHT)], TWO, []),
    "doubled": ([("dog", one) for one in HALVES], [("dog", LEFT, 0.9)], ["doubled"]),
    "a part of another class": ([("dog", HALVES[0]), ("cat", HALVES[1])], [("dog", LEFT, 0.9)], []),
    "the second has a detection": (
        [("dog", one) for one in HALVES],
        [("dog", LEFT, 0.9), ("dog", HALVES[1], 0.5)],
        [],
    ),
    "pieces": ([("dog", (0, 0, 20, 20), (60, 0, 80, 20))], [], ["pieces"]),
    "pieces in one detection": ([("dog", (0, 0, 20, 20), (60, 0, 80, 20))], [("dog", (0, 0, 80, 20), 0.5)], []),
}


@pytest.mark.parametrize(("objects", "found", "expected"), CASES.values(), ids=CASES)
def test_one_frame(objects, found, expected):
    got = kinds(objects, found)
    if expected is None:
        assert "merged" not in got
    else:
        assert got == expected


@pytest.mark.parametrize(
    ("later", "found", "expected"),
    [
        ({"index": 5}, ("dog", LEFT, 0.9), ["lost"]),
        ({"index": 5}, ("dog", RIGHT, 0.9), ["unexplained"]),
        ({"index": 5}, ("cat", LEFT, 0.9), ["unexplained"]),
        ({"index": 5}, ("dog", LEFT, 0.6), []),
        ({"index": 21}, ("dog", LEFT, 0.9), ["unexplained"]),
        ({"index": 5, "shot": 1}, ("dog", LEFT, 0.9), ["unexplained"]),
    ],
    ids=["there", "elsewhere", "another class", "not sure", "long ago", "another shot"],
)
def test_lost(later, found, expected):
    judge = ConsistencyJudge()
    assert judge.step(result_of(DOG), found_of(("dog", LEFT, 0.9))) == []
    (lost,) = judge.step(result_of(("dog",), **later), found_of(found)) or (None,)
    assert [lost.kind] == expected if expected else lost is None
    if expected == ["lost"]:
        assert lost.object_ids == (1,) and lost.rows == (0,) and lost.box_xyxy.tolist() == list(LEFT)


def test_lost_but_another_object_is_there():
    judge = ConsistencyJudge()
    judge.step(result_of(DOG), found_of())
    assert judge.step(result_of(("dog",), DOG, index=1), found_of(("dog", LEFT, 0.9))) == []


def test_renamed_counts_once_and_a_first_name_does_not():
    judge = ConsistencyJudge()
    steps = [
        judge.step(result_of((name, LEFT), index=row), found_of()) for row, name in enumerate(("", "dog", "cat", "cat"))
    ]
    assert [[one.kind for one in step] for step in steps] == [[], [], ["renamed"], []]
    assert steps[2][0].says == "#1: dog before, now cat"


def test_visible_objects_are_counted():
    assert num_visible(result_of(DOG, ("cat",), ("cat", RIGHT))) == 2
    assert num_visible(result_of()) == 0
    assert {kind for _, _, expected in CASES.values() for kind in expected or ()} == {*KINDS} - {"lost", "renamed"}


def test_pieces_of_a_mask():
    clear = np.zeros(SIZE, bool)
    apart = mask_of((0, 0, 20, 20), (60, 0, 80, 20))  # 40 px between them; half the side of its square is 14
    assert far_pieces(apart, clear) == 2
    assert far_pieces(apart, mask_of((22, 0, 50, 20))) == 1  # another object covers 28 of the 40
    assert far_pieces(apart, mask_of((22, 0, 32, 20))) == 2
    assert far_pieces(mask_of((0, 0, 20, 20), (32, 0, 52, 20)), clear) == 1  # 12 px
    assert far_pieces(mask_of((0, 0, 20, 20), (60, 0, 65, 5)), clear) == 1  # 6% of the mask
    assert far_pieces(mask_of((0, 0, 20, 20), (28, 0, 48, 20), (80, 0, 99, 20)), clear) == 2
    assert far_pieces(mask_of((3, 3, 9, 9)), clear) == 1
    assert far_pieces(clear, clear) == 0
