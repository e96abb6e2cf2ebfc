"""The folder protocol, and the program behind it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.datasets.vot_regions import EMPTY, Mask, Special, format_region, in_frame, read_trajectory
from eval.running.trackers import CopyFirstMask
from eval.vot.folder_protocol import read_request
from eval.vot.follow import Follower, follow
from eval.vot.tracker import main, settings_of, tracker_from
from streamvos.errors import InputError

BLOCK = Mask(np.ones((8, 10), bool), 4, 6)
LATER = Mask(np.ones((5, 5), bool), 20, 20)


def request(folder: Path, **queries: tuple[int, Mask]) -> None:
    names = []
    for index in range(4):
        path = folder / f"frame {index}.png"
        Image.new("RGB", (40, 32), (index * 10, 90, 30)).save(path)
        names.append(f"{path}\n")
    (folder / "frames_color.txt").write_text("".join(names))
    for name, (index, mask) in queries.items():
        (folder / f"query_{name}.txt").write_text(f"{index}\n{format_region(mask)}\n")


def test_answers_follow_queries_of_any_frame(tmp_path: Path) -> None:
    request(tmp_path, obj0=(0, BLOCK), obj1=(2, LATER))
    frames, queries = read_request(tmp_path)
    answers = follow(frames, queries, CopyFirstMask())
    assert list(answers["obj1"][:2]) == [Special(0), Special(0)]
    for region in answers["obj0"]:
        assert np.array_equal(in_frame(region, (32, 40)), in_frame(BLOCK, (32, 40)))
    assert in_frame(answers["obj1"][3], (32, 40)).sum() == 25


def test_an_empty_query_is_answered_by_empty_masks(tmp_path: Path) -> None:
    request(tmp_path, obj0=(0, EMPTY), obj1=(0, BLOCK))
    frames, queries = read_request(tmp_path)
    answers = follow(frames, queries, CopyFirstMask())
    assert all(format_region(region) == "m0,0,0,0,0" for region in answers["obj0"])


def test_the_program_answers_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request(tmp_path, obj0=(0, BLOCK))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.json").write_text('{"method": "copy"}')
    assert main(["--settings", "settings.json", "--log", "log.txt"]) == 0
    assert len(read_trajectory(tmp_path / "output_obj0.txt")) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [("0\n1,2,3,4\n", "expected a frame number, then a mask"), ("0\n", "then a mask"), (None, "got 4 frames and 0")],
    ids=["rectangle", "half", "none"],
)
def test_odd_requests_are_refused(text: str | None, words: str, tmp_path: Path) -> None:
    request(tmp_path)
    if text is not None:
        (tmp_path / "query_obj0.txt").write_text(text)
    with pytest.raises(InputError, match=words):
        read_request(tmp_path)


def test_the_order_of_objects_decides_nothing() -> None:
    """A tracker that gives the lower id what two objects share."""
    image = np.zeros((32, 40, 3), np.uint8)

    def lower_id_first(image: np.ndarray, given: np.ndarray | None) -> np.ndarray:
        return np.full(image.shape[:2], 1, np.uint8) if given is None else given

    answers = []
    for masks in ([BLOCK, LATER], [LATER, BLOCK]):
        follower = Follower(lower_id_first)
        assert follower.step(image, masks) == masks
        answers.append([format_region(region) for region in follower.step(image)])
    assert answers[0] == answers[1][::-1] and answers[0][0] != answers[0][1]


def test_more_objects_than_labels_are_refused() -> None:
    follower = Follower(CopyFirstMask()())
    with pytest.raises(InputError, match="fewer than 255 objects"):
        follower.step(np.zeros((8, 8, 3), np.uint8), [BLOCK] * 255)


def test_settings_travel() -> None:
    from eval.running.trackers import SessionTracker
    from pipelines.graph.build import GraphConfig

    tracker = SessionTracker(GraphConfig(stages=("segment",), size=128, seed=3))
    assert tracker_from(settings_of(tracker)) == tracker
    assert tracker_from(settings_of(CopyFirstMask())) == CopyFirstMask()
    with pytest.raises(InputError, match="unknown method"):
        tracker_from({"method": "sessoin"})
