from dataclasses import replace

import numpy as np
import pytest

from pipelines.refiners.config import RefineConfig
from pipelines.refiners.first_mask import best_candidate, candidates_of, explains, first_candidate, first_mask
from pipelines.refiners.gate import Similarity, intersection_over_union, refine_mask
from pipelines.refiners.grabcut import GrabCutRefiner
from pipelines.refiners.protocol import Candidate, innermost_point
from pipelines.refiners.sam_hq import SamHqRefiner
from streamvos.errors import InputError
from streamvos.models.sam_hq import SamHqPredictor
from streamvos.records import Prompt

CONFIG = RefineConfig()


def block(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((60, 80), bool)
    mask[top : top + height, left : left + width] = True
    return mask


class Fixed:
    """A refiner that proposes what it was given."""

    name = "fixed"

    def __init__(self, *masks: np.ndarray):
        self.masks, self.calls = masks, 0

    def set_image(self, image, frame_index):
        pass

    def refine(self, coarse=None, box=None, points=None, labels=None, quick=False):
        self.calls += 1
        return tuple(Candidate(str(row), mask, None, "fixed") for row, mask in enumerate(self.masks))


COARSE = block(10, 10, 20, 20)
NEAR, FAR = block(10, 10, 20, 24), block(30, 50, 20, 20)


def test_a_near_candidate_replaces_the_coarse_mask():
    mask, decision = refine_mask(Fixed(FAR, NEAR), COARSE, CONFIG)
    assert decision.action == "refine" and decision.row == 1
    assert np.array_equal(mask, NEAR)


def test_far_candidates_leave_the_coarse_mask():
    mask, decision = refine_mask(Fixed(FAR, FAR), COARSE, CONFIG)
    assert decision.action == "reject" and mask is COARSE


def test_an_empty_mask_never_reaches_the_refiner():
    refiner = Fixed(NEAR)
    empty = np.zeros_like(COARSE)
    mask, decision = refine_mask(refiner, empty, CONFIG)
    assert decision.action == "skip" and mask is empty and refiner.calls == 0


def test_appearance_decides_between_candidates_that_pass():
    wider = block(10, 8, 20, 26)
    assert refine_mask(Fixed(NEAR, wider), COARSE, CONFIG)[1].row == 0
    by_inside = lambda mask: Similarity(float(np.array_equal(mask, wider)), None)  # noqa: E731
    assert refine_mask(Fixed(NEAR, wider), COARSE, CONFIG, by_inside)[1].row == 1
    by_surroundings = lambda mask: Similarity(0.9, float(np.array_equal(mask, NEAR)))  # noqa: E731
    assert refine_mask(Fixed(NEAR, wider), COARSE, CONFIG, by_surroundings)[1].row == 1


def test_first_mask_of_each_kind_of_prompt():
    image = np.full((60, 80, 3), 60, np.uint8)
    image[COARSE] = (220, 180, 40)
    refiner = GrabCutRefiner()
    given = first_mask(image, Prompt(0, 1, mask=COARSE), refiner)
    assert np.array_equal(given, COARSE)
    box = Prompt(0, 1, box=np.array([8, 8, 32, 32], np.float32))
    assert intersection_over_union(first_mask(image, box, refiner), COARSE) > 0.9
    points = Prompt(0, 1, points=np.array([[20, 20]], np.float32), labels=np.ones(1, bool))
    assert intersection_over_union(first_mask(image, points, refiner), COARSE) > 0.8
    assert first_candidate(image, box, refiner).reason


class Parts(Fixed):
    """From clicks the part that was clicked on; from a box what is in it, but for a hole, less sure of wide ones."""

    HOLE = block(20, 20, 4, 4)

    def refine(self, box=None, points=None, labels=None, **rest):
        if box is None:
            return (Candidate("part", block(14, 12, 8, 8), 0.9, "points"),)
        x1, y1, x2, y2 = box.astype(int)
        return (Candidate("box", block(y1, x1, y2 - y1, x2 - x1) & ~self.HOLE, 0.7 if x2 - x1 > 60 else 0.9, "box"),)


def clicks(*points: tuple[float, float], off: int = 0) -> Prompt:
    labels = np.arange(len(points)) < len(points) - off
    return Prompt(0, 1, points=np.array(points, np.float32), labels=labels)


@pytest.mark.parametrize(
    ("prompt", "instances", "expected"),
    [
        (clicks((12, 20)), [[10, 10, 30, 30], [0, 0, 70, 50]], (10, 10, 30, 30)),
        (clicks((12, 20)), [[10, 10, 30, 30], [8, 8, 60, 50]], (10, 10, 30, 30)),  # as sure: the smaller
        (clicks((12, 20), (50, 40)), [[10, 10, 30, 30], [0, 0, 70, 50]], (0, 0, 70, 50)),
        (clicks((12, 20), (21, 21), off=1), [[0, 0, 70, 50], [10, 10, 30, 30]], (10, 10, 30, 30)),
        (clicks((12, 20), (11, 11), off=1), [[10, 10, 30, 30]], None),  # no box explains what is off
        (clicks((21, 21)), [[10, 10, 30, 30]], None),  # nor what is on the object
        (clicks((60, 40)), [[10, 10, 30, 30]], None),
        (clicks((12, 20)), [], None),
    ],
)
def test_clicks_mean_the_instance_that_explains_them_best(prompt, instances, expected):
    image = np.zeros((60, 80, 3), np.uint8)
    found = first_candidate(image, prompt, Parts(), instances=np.array(instances, np.float32).reshape(-1, 4))
    if expected is None:
        assert found.name == "part"
    else:
        x1, y1, x2, y2 = expected
        assert np.array_equal(found.mask, block(y1, x1, y2 - y1, x2 - x1) & ~Parts.HOLE)
        assert "detected" in found.reason


class Offers(Fixed):
    """From a click: a part, the whole, a group and something elsewhere, as sure as they are said to be."""

    PART, WHOLE, GROUP, OTHER = (
        block(18, 18, 10, 10),
        block(10, 10, 24, 24),
        block(10, 10, 24, 60),
        block(40, 60, 10, 10),
    )

    def __init__(self, *sure: float):
        self.sure = sure

    def refine(self, box=None, points=None, labels=None, **rest):
        if box is not None:
            return (Candidate("box", self.WHOLE, 0.8, "box"),)
        masks = (self.PART, self.WHOLE, self.GROUP, self.OTHER)
        return tuple(
            Candidate(str(row), mask, sure, "") for row, (mask, sure) in enumerate(zip(masks, self.sure, strict=True))
        )


def offers(*sure: float, instances: list[list[float]] | None = None) -> list[str]:
    boxes = None if instances is None else np.array(instances, np.float32)
    found = candidates_of(np.zeros((60, 80, 3), np.uint8), clicks((22, 22)), Offers(*sure), instances=boxes)
    return [one.name for one in found]


def test_a_click_has_several_meanings_the_likeliest_first():
    assert offers(0.9, 0.6, 0.4, 0.99) == ["0", "1", "2"]  # what does not hold the click is none
    assert offers(0.4, 0.9, 0.6, 0.99) == ["1", "2", "0"]


@pytest.mark.parametrize(("sure", "side", "first"), [(0.6, 5, "ball"), (0.5, 5, "box"), (0.6, 9, "box")])
def test_a_sure_small_thing_goes_before_what_the_detector_sees_around_it(sure: float, side: int, first: str):
    class Ball(Fixed):
        def refine(self, box=None, **rest):
            if box is not None:
                return (Candidate("box", block(10, 10, 24, 24), 0.9, "box"),)
            return (Candidate("ball", block(20, 20, side, side), sure, ""),)

    image, around = np.zeros((60, 80, 3), np.uint8), np.array([[10.0, 10.0, 34.0, 34.0]], np.float32)
    found = candidates_of(image, clicks((22, 22)), Ball(), instances=around)
    assert found[0].name == first and len(found) == 2


def test_of_several_clicks_the_best_mask_counts_not_the_one_that_agrees_with_a_click_beside_its_border():
    class Whole(Fixed):
        def refine(self, **rest):
            return (Candidate("poor", block(10, 10, 6, 6), 0.5, ""), Candidate("good", block(10, 10, 40, 40), 0.95, ""))

    prompt = clicks((12, 12), (30, 49), off=1)
    assert [one.name for one in candidates_of(np.zeros((60, 80, 3), np.uint8), prompt, Whole())] == ["good"]


def test_a_choice_takes_the_next_meaning_and_the_last_where_there_are_fewer():
    image = np.zeros((60, 80, 3), np.uint8)
    for choice, mask in ((0, Offers.PART), (1, Offers.WHOLE), (2, Offers.GROUP)):
        prompt = replace(clicks((22, 22)), choice=choice)
        assert np.array_equal(first_mask(image, prompt, Offers(0.9, 0.6, 0.4, 0.99)), mask)
        assert np.array_equal(first_mask(image, prompt, Fixed(Offers.WHOLE)), Offers.WHOLE)


def test_the_detector_is_one_vote_and_not_the_last_word():
    around = [[10.0, 10.0, 34.0, 34.0]]
    assert offers(0.90, 0.78, 0.1, 0.0)[0] == "0"
    assert offers(0.90, 0.78, 0.1, 0.0, instances=around)[0] == "box"
    assert offers(0.99, 0.40, 0.1, 0.0, instances=around)[0] == "0"


def test_a_mask_explains_the_detection_that_it_fills():
    box = np.array([10, 10, 50, 30], np.float32)
    assert explains(block(10, 10, 20, 40), box) and explains(block(12, 14, 16, 34), box)
    assert not explains(block(10, 10, 20, 12), box)  # a cup on the table
    assert not explains(block(0, 0, 0, 0), box)


def test_a_box_is_taken_at_its_word():
    prompt = Prompt(0, 1, box=np.array([40, 30, 60, 50], np.float32))
    found = first_candidate(np.zeros((60, 80, 3), np.uint8), prompt, Parts(), instances=np.array([[10, 10, 30, 30.0]]))
    assert np.array_equal(found.mask, block(30, 40, 20, 20))


def test_the_whole_is_taken_before_its_part_unless_it_is_much_less_sure():
    part, whole = block(10, 10, 4, 4), block(10, 10, 40, 40)
    taken = lambda sure: best_candidate([Candidate("part", part, 0.9, ""), Candidate("whole", whole, sure, "")])  # noqa: E731
    assert taken(0.8).name == "whole" and taken(0.6).name == "part"
    assert best_candidate([Candidate("a", part, None, ""), Candidate("b", part, None, "")]).name == "a"


def test_first_mask_of_another_size_is_refused():
    with pytest.raises(InputError, match=r"expected \(60, 80\).*got \(60, 79\)"):
        first_mask(np.zeros((60, 80, 3), np.uint8), Prompt(0, 2, mask=COARSE[:, :79]), GrabCutRefiner())


def test_innermost_point_by_hand():
    assert innermost_point(block(10, 20, 11, 31)).tolist()[1] == 15
    corner = innermost_point(block(0, 0, 9, 9))
    assert corner.tolist() == [4, 4], "the frame's edge counts as a border"


def test_sam_hq_with_random_weights_end_to_end():
    """The real loading, pre- and post-processing; random weights propose masks that the gate must refuse."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
    refiner = SamHqRefiner(SamHqPredictor.randomly_initialised(seed=0))
    refiner.set_image(image, 0)
    refiner.set_image(image, 0)  # the same array: not encoded again
    masks = [block(10, 10, 20, 20), block(5, 40, 30, 12), block(40, 5, 15, 60), block(20, 30, 25, 25)]
    decisions = []
    for coarse in masks:
        mask, decision = refine_mask(refiner, coarse, CONFIG)
        decisions.append(decision)
        assert mask.shape == (60, 80) and mask.dtype == bool
        if decision.action == "reject":
            assert mask is coarse and decision.numbers["candidates"] == 5
    assert [one.action for one in decisions].count("reject") >= 3
    one = refiner.refine(points=np.array([[20, 20]], np.float32), labels=np.ones(1, bool))
    assert [candidate.name for candidate in one] == ["points"]
    assert 0 <= one[0].predicted_iou <= 1
    again = refiner.refine(points=np.array([[20, 20]], np.float32), labels=np.ones(1, bool))
    assert np.array_equal(again[0].mask, one[0].mask)
