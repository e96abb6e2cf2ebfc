"""A crowd on a plain picture: painted figures that walk, wait and cross, and the boxes that are true of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from eval.compose.actor import Actor
from eval.compose.background import Background, load_background
from eval.compose.build import Order, compose
from eval.compose.cast import Casting
from eval.compose.crowd import is_whole_person, plan_crowd
from eval.compose.cutouts import cut, find_candidates
from eval.compose.render import Renderer
from eval.compose.settings import PRESETS
from eval.datasets.composed import SequenceTruth
from streamvos.errors import InputError

CROWD = PRESETS["crowd"]
TICKS = 120
SEEDS = range(6)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    texture = np.random.default_rng(0).integers(90, 160, (120, 214, 3), np.uint8)
    for index in range(2):
        cv2.imwrite(str(folder / f"{index}.png"), texture)
    return folder


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine figures with a head, one of them only legs, one sitting; and a dog."""
    folder = tmp_path_factory.mktemp("people")
    for name in ("person", "dog", "mask"):
        (folder / name).mkdir()
    for index in range(9):
        mask = np.zeros((300, 300), np.uint8)
        cv2.circle(mask, (150, 40), 14, 1, -1)
        cv2.ellipse(mask, (150, 150), (42, 120), 0, 0, 360, 1, -1)
        _save(folder, "person", f"whole{index}", mask, (20 * index, 200 - 20 * index, 90))
    legs, sits = np.zeros((300, 300), np.uint8), np.zeros((300, 300), np.uint8)
    cv2.rectangle(legs, (110, 20), (190, 280), 1, -1)
    cv2.ellipse(sits, (150, 150), (110, 120), 0, 0, 360, 1, -1)
    _save(folder, "person", "legs", legs, (90, 20, 20))
    _save(folder, "person", "sits", sits, (20, 20, 90))
    _save(folder, "dog", "dog", sits, (200, 200, 20))
    return folder


def _save(folder: Path, name: str, stem: str, mask: np.ndarray, colour: tuple[int, int, int]) -> None:
    image = np.full((*mask.shape, 3), 128, np.uint8)
    image[mask > 0] = colour
    cv2.imwrite(str(folder / name / f"{stem}.png"), image)
    cv2.imwrite(str(folder / "mask" / f"{stem}.png"), mask)


@pytest.fixture(scope="module")
def plans(street: Path, people: Path) -> tuple[Background, list[tuple[Actor, ...]]]:
    background, casting = load_background(street), Casting(find_candidates([(people, None)]))
    return background, [plan_crowd(background, casting, CROWD, TICKS, seed).actors for seed in SEEDS]


def test_only_whole_people(people: Path, plans: tuple[Background, list[tuple[Actor, ...]]]) -> None:
    fits = {each.path.stem: is_whole_person(cut(each)) for each in find_candidates([(people, None)])}
    assert [stem for stem, is_whole in fits.items() if not is_whole] == ["dog", "legs", "sits"]
    for actors in plans[1]:
        assert 3 <= len(actors) <= 8
        sources = [actor.cutout.source for actor in actors]
        assert all("whole" in source for source in sources) and len(set(sources)) == len(sources)


def test_heights_meetings_and_comings(plans: tuple[Background, list[tuple[Actor, ...]]]) -> None:
    background, crowds = plans
    comes = leaves = waits = left = right = covers = 0
    heights = []
    for actors in crowds:
        renderer = Renderer(background, 0, 0)
        for tick in range(0, TICKS, 6):
            drawn = renderer.draw(list(actors), tick)
            heights += [(whole.box_xyxy[3] - whole.box_xyxy[1]) / 120 for whole in drawn.whole.values()]
            shown = np.bincount(drawn.labels.ravel(), minlength=10)
            covers += sum(shown[number] < 0.5 * mask.sum() for number, (_, mask) in drawn.full.items())
        for actor in actors:
            ways = [stay.at(stay.end - 1)[0] - stay.at(stay.start)[0] for stay in actor.visits]
            comes += actor.visits[0].start > 0 or len(actor.visits) > 1
            leaves += actor.visits[-1].end < TICKS
            waits += max(np.abs(ways)) < 0.3
            left, right = left + (min(ways) < -1), right + (max(ways) > 1)
    assert min(heights) > 0.2 and max(heights) < 0.75
    assert min(comes, leaves, waits, left, right, covers) >= 3, (comes, leaves, waits, left, right, covers)


def test_nobody_walks_through_anybody(plans: tuple[Background, list[tuple[Actor, ...]]]) -> None:
    gaps = []
    for actors in plans[1]:
        for tick in range(TICKS):
            here = [visit.at(tick) for actor in actors if (visit := actor.visit_at(tick)) is not None]
            gaps += [np.linalg.norm(one - two) for row, one in enumerate(here) for two in here[:row]]
    assert np.mean(np.array(gaps) < 0.3) < 0.01  # metres between the middles of two people of 1.7 m


def test_boxes_are_whole_and_say_how_much_is_seen(street: Path, people: Path, tmp_path: Path) -> None:
    (truth,) = compose(Order(street, ((people, None),), CROWD, 60, 1, seed=2, any_object=True), tmp_path)
    assert {thing.class_name for thing in truth.objects} == {"person"}
    rows = np.loadtxt(tmp_path / "mot/crowd-00/gt/gt.txt", delimiter=",", ndmin=2)
    boxes = rows[:, 2:6] - [1, 1, 0, 0]
    beyond = (boxes[:, 0] < 0) | (boxes[:, 0] + boxes[:, 2] > 214)
    assert beyond.any() and (rows[:, 8] < 0.5).any()
    assert (rows[beyond, 8] < 1).all()  # what is beyond the border is not seen
    _agree(truth, rows, boxes)


def _agree(truth: SequenceTruth, rows: np.ndarray, boxes: np.ndarray) -> None:
    """A line for each thing in the picture, its box around what is visible, and as wide as a figure is."""
    there = [(frame.frame + 1, seen) for frame in truth.frames for seen in frame.objects]
    assert [(frame, seen.id) for frame, seen in there] == [tuple(row) for row in rows[:, :2].astype(int).tolist()]
    for (left, top, width, height), share, (_, seen) in zip(boxes, rows[:, 8], there, strict=True):
        assert share <= seen.visible_px / seen.full_px + 1e-3
        assert height > 1.9 * width * 0.9
        if seen.box_xyxy is not None:
            x1, y1, x2, y2 = seen.box_xyxy
            assert left <= x1 and top <= y1 and x2 <= left + width and y2 <= top + height


def test_without_people(street: Path, people: Path) -> None:
    dogs = [each for each in find_candidates([(people, None)]) if each.class_name == "dog"]
    with pytest.raises(InputError, match="a person from head to feet"):
        plan_crowd(load_background(street), Casting(dogs), CROWD, TICKS, 0)
