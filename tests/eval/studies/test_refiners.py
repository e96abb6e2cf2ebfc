"""Refiners side by side: clicks at the largest fault, rows of scores, the command."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from eval.studies import refiners
from pipelines.refiners.gate import intersection_over_union
from pipelines.refiners.protocol import Candidate


class Boxes:
    """Answers a box with that box, points with a square around the first, a coarse mask with that mask."""

    name = "boxes"

    def __init__(self) -> None:
        self.asked: list[tuple[list[list[float]], list[bool]]] = []

    def set_image(self, image: np.ndarray, frame_index: int) -> None:
        self._size = image.shape[:2]

    def refine(self, coarse=None, box=None, points=None, labels=None, quick=False) -> tuple[Candidate, ...]:
        mask = np.zeros(self._size, bool)
        if points is not None:
            self.asked.append((points.tolist(), labels.tolist()))
            x, y = points[0].astype(int)
            mask[y - 5 : y + 5, x - 5 : x + 5] = True
        elif coarse is not None:
            mask = coarse
        else:
            x1, y1, x2, y2 = box.astype(int)
            mask[y1:y2, x1:x2] = True
        return (Candidate("one", mask, None, "as asked"),)


def thing(number: int = 0) -> refiners.Thing:
    return refiners.Thing(*example(), number)


def example() -> tuple[np.ndarray, np.ndarray]:
    truth = np.zeros((60, 80), bool)
    truth[10:50, 20:60] = True
    return np.where(truth[..., None], 200, 40).astype(np.uint8).repeat(3, axis=2), truth


def test_scores_by_hand() -> None:
    rows = refiners.score("squares", [example()], [Boxes()])
    assert [(row["prompt"], row["refiner"]) for row in rows] == [
        ("box", "boxes"),
        ("1 click, IoU alone", "boxes"),
        ("1 click anywhere, IoU alone", "boxes"),
        ("1 click anywhere, best of three", "boxes"),
        ("1 click", "boxes"),
        ("1 click anywhere", "boxes"),
        ("3 clicks", "boxes"),
        ("1 click, detector", "boxes"),
        ("1 click anywhere, detector", "boxes"),
        ("3 clicks, detector", "boxes"),
        ("coarse mask", "none"),
        ("coarse mask", "boxes"),
        ("mask, 2 clicks", "boxes"),
        ("its box, 2 clicks", "boxes"),
    ]
    assert (rows[0]["IoU"], rows[0]["F"]) == (100.0, 100.0)
    assert rows[1]["IoU"] == pytest.approx(100 * 100 / 1600, abs=0.1)
    none, coarse = rows[10:12]
    assert none["IoU"] == coarse["IoU"] < 100 and none["CPU ms"] is None
    assert [row["rejected %"] for row in rows] == [None] * 11 + [0.0, None, None]


def test_clicks_ask_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """A square that the detector sees is found from one click; the refiner alone finds a tenth of it."""

    class Trusting(Boxes):
        def refine(self, box=None, points=None, labels=None, **rest) -> tuple[Candidate, ...]:
            return super().refine(box=box) if box is not None else super().refine(points=points, labels=labels)

    monkeypatch.setattr(refiners, "_detected", lambda image: np.array([[20, 10, 60, 50]], np.float32))
    prompts = ["1 click", "1 click, detector", "1 click anywhere, detector", "3 clicks, detector"]
    alone, *helped = refiners.score("squares", [example()], [Trusting()], prompts)
    assert alone["IoU"] < 10 and [row["IoU"] for row in helped] == [100.0] * 3


def test_a_click_anywhere_is_on_the_object_and_always_the_same() -> None:
    drawn = [refiners._first_point(thing(number), True) for number in range(8)]
    assert all(thing().truth[int(y), int(x)] for x, y in drawn)
    assert len({tuple(point) for point in drawn}) > 3
    assert np.array_equal(drawn[3], refiners._first_point(thing(3), True))


def test_what_the_gate_rejects_is_counted() -> None:
    class Elsewhere(Boxes):
        def refine(self, coarse=None, **prompt) -> tuple[Candidate, ...]:
            return (Candidate("one", ~coarse, None, "anything but the object"),)

    (none, rejected) = refiners.score("squares", [example()] * 2, [Elsewhere()], ["coarse mask"])
    assert rejected["rejected %"] == 100 and rejected["IoU"] == none["IoU"]


def test_each_click_lies_in_the_largest_fault() -> None:
    refiner = Boxes()
    refiners.from_clicks(refiner, thing(), 3)
    assert [len(points) for points, _ in refiner.asked] == [1, 2, 3]
    points, labels = refiner.asked[-1]
    assert labels == [True, True, True]  # the answer is too small: what is missing is asked for
    assert all(thing().truth[int(y), int(x)] for x, y in points) and points[1] != points[0]


def test_corrections_go_with_the_mask_or_with_its_box() -> None:
    for by_box in (True, False):
        refiner = Boxes()
        refiner.set_image(thing().image, 0)
        refiners.from_correction(refiner, thing(3), by_box)
        assert [len(points) for points, _ in refiner.asked][:2] == [1, 2][: len(refiner.asked)]


def test_coarse_masks_are_the_same_each_time() -> None:
    assert np.array_equal(refiners.coarse_of(thing(3)), refiners.coarse_of(thing(3)))
    assert 0.2 < intersection_over_union(refiners.coarse_of(thing(3)), thing().truth) < 1


def test_the_command_measures_the_shipped_refiner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("horse", "mask"):
        (tmp_path / "horses" / name).mkdir(parents=True)
    image, truth = example()
    big = cv2.resize(image, (160, 120)), cv2.resize(truth.astype(np.uint8), (160, 120))
    cv2.imwrite(str(tmp_path / "horses/horse/1.jpg"), big[0])
    cv2.imwrite(str(tmp_path / "horses/mask/1.png"), big[1])
    out = tmp_path / "out"
    refiners.main(["--horses", str(tmp_path / "horses"), "--prompts", "box", "--out", str(out)])
    document = json.loads((out / "refiners.json").read_text())
    rows = {row["refiner"]: row for row in document["rows"]}
    assert set(rows) == {"grabcut", "embedded"} and rows["embedded"]["IoU"] > 80
    assert document["meta"]["command"] == "python -m eval.studies.refiners --horses HORSES --prompts box"
    assert document["headline"]["value"] == rows["embedded"]["IoU"]
    assert "horses | 1 | box | embedded" in capsys.readouterr().out


def test_the_gate_rejects_sam_hq_without_weights(tmp_path: Path) -> None:
    """Real architecture, real pre- and post-processing; what it proposes means nothing, and hardly any may pass."""
    image, truth = example()
    for name in ("horse", "mask"):
        (tmp_path / "horses" / name).mkdir(parents=True)
    for number, turned in enumerate(((image, truth), (image[::-1], truth[::-1]), (image[:, ::-1], truth[:, ::-1]))):
        cv2.imwrite(str(tmp_path / f"horses/horse/{number}.jpg"), cv2.resize(turned[0], (160, 120)))
        cv2.imwrite(str(tmp_path / f"horses/mask/{number}.png"), cv2.resize(turned[1].astype(np.uint8), (160, 120)))
    words = ["--refiners", "sam-hq", "--random-weights", "--prompts", "coarse mask", "--out", str(tmp_path / "out")]
    refiners.main(["--horses", str(tmp_path / "horses"), *words])
    document = json.loads((tmp_path / "out/refiners.json").read_text())
    before, after = document["rows"]
    assert after["rejected %"] > 60 and abs(after["IoU"] - before["IoU"]) < 15
    assert "headline" not in document  # nothing to hold it against
