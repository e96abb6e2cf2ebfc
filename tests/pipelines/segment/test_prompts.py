"""Objects that a prompt starts, corrects and ends; prompts that are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from streamvos import masks
from streamvos.errors import InputError
from streamvos.records import Naming, Prompt, Removal

PROMPTS: dict[str, Callable[[np.ndarray], dict[str, Any]]] = {
    "mask": lambda mask: {"mask": mask},
    "box": lambda mask: {"box": masks.tight_box(mask) + np.array([-1, -1, 1, 1], np.float32)},
    "points": lambda mask: {
        "points": np.array([masks.tight_box(mask).reshape(2, 2).mean(axis=0), [4, 4]], np.float32),
        "labels": np.array([True, False]),
    },
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS.keys())
def test_a_prompt_starts_an_object_and_it_is_followed(
    squares: Any, prompt: Callable[[np.ndarray], dict[str, Any]]
) -> None:
    image, truth = squares.draw({1: (30, 20)})
    result = squares.step(0, image, prompts=(Prompt(0, 1, **prompt(truth[1]), label="red"),))
    assert result.masks.object_ids.tolist() == [1] and result.masks.scores.tolist() == [1.0]
    assert result.masks.class_names == ("red",) and squares.iou(result, 1, truth[1]) > 0.6
    for index in range(1, 9):
        image, truth = squares.draw({1: (30, 20 + 4 * index)})
        result = squares.step(index, image)
        assert squares.iou(result, 1, truth[1]) > 0.6 and squares.state_of(result, 1) == "tracked"


def test_a_click_means_the_thing_that_the_detector_sees_there(make_squares: Callable[..., Any]) -> None:
    """Two squares of two colours side by side: alone, a click finds the one that was hit."""
    reached = []
    for seen in (False, True):
        squares = make_squares()
        image, truth = squares.draw({1: (30, 20), 2: (30, 48)})
        whole = truth[1] | truth[2]
        click = (masks.tight_box(truth[1]).reshape(2, 2).mean(axis=0)[None], np.ones(1, bool))
        given = {"detections": squares.found(("dog", 0.9, whole))} if seen else {}
        result = squares.step(0, image, prompts=(Prompt(0, 1, points=click[0], labels=click[1]),), **given)
        assert result.masks.object_ids.tolist() == [1]  # and no second object for the detection
        reached.append(squares.iou(result, 1, whole))
        (why,) = [event for event in result.events if event.action == "refine" and event.entry == "object 1"]
        assert "predicted_iou" in why.numbers and ("in the box of what was detected there" in why.reason) == seen
        assert result.masks.class_names == (("dog",) if seen else ("",))
    assert reached[0] < 0.6 and reached[1] > 0.8


def test_objects_come_and_go_in_mid_stream_and_ids_stay(squares: Any) -> None:
    image, truth = squares.two(0)
    squares.step(0, image, prompts=(Prompt(0, 5, mask=truth[1]),))
    for index in range(1, 4):
        assert squares.step(index, squares.two(index)[0]).masks.object_ids.tolist() == [5]
    image, truth = squares.two(4)
    result = squares.step(4, image, prompts=(Prompt(4, 2, mask=truth[2]),))
    assert result.masks.object_ids.tolist() == [2, 5]
    image, truth = squares.two(5)
    result = squares.step(5, image)
    assert squares.iou(result, 5, truth[1]) > 0.7 and squares.iou(result, 2, truth[2]) > 0.7
    image, truth = squares.two(6)
    result = squares.step(6, image, removals=(Removal(6, 5), Removal(6, 99)))
    assert result.masks.object_ids.tolist() == [2] and squares.iou(result, 2, truth[2]) > 0.7
    image, truth = squares.two(7)
    result = squares.step(7, image, detections=squares.found(("dog", 0.9, truth[1])))  # discovered: gets a new id
    assert result.masks.object_ids.tolist() == [2, 6] and result.detections.object_ids.tolist() == [6]
    result = squares.step(8, squares.two(8)[0], removals=(Removal(8, 6),))
    image, truth = squares.two(9)
    result = squares.step(9, image, detections=squares.found(("dog", 0.9, truth[1])))
    assert result.masks.object_ids.tolist() == [2, 7]  # 6 was removed: it is neither recognised nor used again


def test_overlapping_prompts_are_shown_apart(squares: Any) -> None:
    image, truth = squares.draw({1: (30, 20), 2: (40, 45)})
    whole = truth[1] | truth[2]
    result = squares.step(0, image, prompts=(Prompt(0, 2, mask=truth[2]), Prompt(0, 1, mask=whole)))
    assert squares.iou(result, 2, truth[2]) == 1.0 and squares.iou(result, 1, truth[1]) == 1.0


def test_a_prompt_for_a_known_id_corrects_it(squares: Any) -> None:
    image, truth = squares.draw({1: (8, 10), 2: (64, 110)})
    for index in range(4):
        squares.step(index, image, prompts=(Prompt(0, 1, mask=truth[1], label="it"),) if index == 0 else ())
    result = squares.step(4, image, prompts=(Prompt(4, 1, mask=truth[2]),))
    assert squares.iou(result, 1, truth[2]) == 1.0 and result.masks.class_names == ("it",)
    for index in range(5, 8):
        result = squares.step(index, image)
        assert squares.iou(result, 1, truth[2]) > 0.7


def test_a_correction_forgets_the_views_before_it(squares: Any) -> None:
    image, truth = squares.two(0)
    squares.step(0, image, prompts=(Prompt(0, 1, mask=truth[1]),))
    result = squares.step(1, image, prompts=(Prompt(1, 1, mask=truth[2]),))
    assert squares.stage.stats()["keyframes"].entries == 1 and squares.iou(result, 1, truth[2]) == 1
    assert squares.iou(squares.step(2, image), 1, truth[2]) > 0.7


def test_a_refused_correction_loses_nothing(squares: Any) -> None:
    image, truth = squares.draw({1: (30, 40)})
    squares.step(0, image, prompts=squares.given(0, truth))
    entries = squares.stage.stats()["keyframes"].entries
    with pytest.raises(InputError, match="too few to follow"):
        squares.step(1, image, prompts=(Prompt(1, 1, mask=np.zeros(image.shape[:2], bool)),))
    assert squares.stage.stats()["keyframes"].entries == entries
    assert squares.iou(squares.step(2, image), 1, truth[1]) > 0.7


REFUSED: dict[str, tuple[Callable[[], Prompt], str]] = {
    "empty mask": (lambda: Prompt(0, 1, mask=np.zeros((112, 160), bool)), "0 pixels are too few to follow"),
    "mask of another size": (lambda: Prompt(0, 1, mask=np.ones((56, 80), bool)), r"expected \(112, 160\)"),
    "box outside": (lambda: Prompt(0, 1, box=np.array([200, 5, 220, 20], np.float32)), "outside the 160x112 frame"),
    "points outside": (
        lambda: Prompt(0, 1, points=np.full((1, 2), 300, np.float32), labels=np.ones(1, bool)),
        "no point on the object lies inside",
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_prompts_are_refused(squares: Any, make: Callable[[], Prompt], message: str) -> None:
    with pytest.raises(InputError, match=message):
        squares.step(0, squares.draw({})[0], prompts=(make(),))


def test_while_a_person_points_a_refused_prompt_is_told_and_the_run_goes_on(make_squares: Callable[..., Any]) -> None:
    squares = make_squares(interactive=True)
    image, truth = squares.draw({1: (30, 40)})
    nothing = Prompt(0, 2, mask=np.zeros(image.shape[:2], bool))
    result = squares.step(0, image, prompts=(nothing, *squares.given(0, truth)))
    assert result.masks.object_ids.tolist() == [1]
    told = [event for event in result.events if event.action == "reject"]
    assert [event.entry for event in told] == ["object 2"] and "too few to follow" in told[0].reason


def test_clicks_off_the_object_correct_a_box(squares: Any) -> None:
    image, truth = squares.two(0)
    rows, cols = np.nonzero(truth[1] | truth[2])
    box = np.array([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1], np.float32)
    off = np.array([np.argwhere(truth[2]).mean(axis=0)[::-1]], np.float32)
    prompt = Prompt(0, 1, box=box, points=off, labels=np.zeros(1, bool))
    result = squares.step(0, image, prompts=(prompt,))
    assert not masks.decode(result.masks.rles[0])[int(off[0, 1]), int(off[0, 0])]


def test_a_name_stays_with_the_object(squares: Any) -> None:
    image, truth = squares.draw({1: (30, 40)})
    squares.step(0, image, prompts=squares.given(0, truth))
    result = squares.step(1, image, namings=(Naming(1, 1, "Rex"), Naming(1, 9, "nobody")))
    assert result.masks.class_names == ("Rex",)
    assert squares.step(2, image).masks.class_names == ("Rex",)


def test_too_many_prompts_are_refused_and_detections_wait(make_squares: Callable[..., Any]) -> None:
    squares = make_squares(max_objects=2)
    image, truth = squares.draw({1: (8, 10), 2: (64, 110), 3: (10, 100)})
    seen = squares.found(*(("dog", 0.9, truth[key]) for key in (1, 2, 3)))
    result = squares.step(0, image, detections=seen)
    assert result.masks.object_ids.tolist() == [1, 2] and result.detections.object_ids.tolist() == [1, 2, -1]
    assert any(event.action == "skip" and "2 objects are followed already" in event.reason for event in result.events)
    result = squares.step(1, image, prompts=(Prompt(1, 7, mask=truth[3]),))  # the user's word weighs more
    assert 7 in result.masks.object_ids and len(result.masks) == 2
    result = squares.step(2, image, prompts=(Prompt(2, 8, mask=truth[1]),))
    assert result.masks.object_ids.tolist() == [7, 8]
    with pytest.raises(
        InputError,
        match=r"object 9: 2 objects are followed already \(segment.max_objects, memory.objects_mib\); remove",
    ):
        squares.step(3, image, prompts=(Prompt(3, 9, mask=truth[2]),))
    assert (
        squares.step(3, image, prompts=(Prompt(3, 9, mask=truth[2]),), removals=(Removal(3, 8),)).masks.object_ids[-1]
        == 9
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_objects": 0}, "setting segment.max_objects: expected a whole number of at least 1, got 0"),
        ({"base": "embeded"}, "unknown value of segment.base 'embeded'; did you mean 'embedded'"),
    ],
    ids=["no objects", "unknown tracker"],
)
def test_settings_out_of_range_are_refused(
    make_squares: Callable[..., Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make_squares(**settings)
