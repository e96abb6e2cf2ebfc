import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.davis import copy_first_mask, evaluate, find_sequences, read_label_map
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


def test_copy_of_the_first_mask(root: Path, tmp_path: Path):
    evaluation = evaluate(copy_first_mask, root, out_dir=tmp_path / "out")
    rows = {row["sequence"]: row for row in evaluation.rows()}
    assert rows["merged"]["J&F"] == 100
    assert rows["two"]["objects"] == 2
    assert rows["two"]["J mean"] == pytest.approx(100 * (1 / 3 + 1) / 2, abs=0.01)  # half overlap, and standing
    assert rows["mean"]["J mean"] == pytest.approx(100 * (1 + 1 / 3 + 1) / 3, abs=0.01)  # over objects
    assert evaluation.jf_mean == pytest.approx(rows["mean"]["J&F"] / 100, abs=1e-4)
    written = tmp_path / "out/two/00004.png"
    assert np.array_equal(read_label_map(written), read_label_map(root / "Annotations/480p/two/00000.png"))


def test_the_tracker_sees_each_frame_once_and_starts_afresh(root: Path):
    seen: list[tuple[str, int]] = []

    def tracker(image, labels):
        seen.append(("start", int(labels.max())))

        def step(image):
            seen.append(("step", int(image.max() > 100)))
            return labels

        return step

    evaluate(tracker, root)
    assert seen == [("start", 1)] + [("step", 0)] * 4 + [("start", 2)] + [("step", 1)] * 4


def test_a_perfect_tracker_scores_100(root: Path):
    truths = iter(list(find_sequences(root, ["two"])[0].label_maps()))

    def tracker(image, labels):
        next(truths)
        return lambda image: next(truths)

    assert evaluate(tracker, root, ["two"]).jf_mean == 1.0


def test_bad_input(root: Path, tmp_path: Path):
    with pytest.raises(InputError, match="not a DAVIS folder"):
        find_sequences(tmp_path / "nowhere")
    with pytest.raises(InputError, match="did you mean 'merged'"):
        find_sequences(root, ["mergd"])
    (root / "Annotations/480p/two/00003.png").unlink()
    with pytest.raises(InputError, match="5 frames and 4 annotations.*00003"):
        find_sequences(root)


@pytest.mark.skipif("STREAMVOS_DATA" not in os.environ, reason="STREAMVOS_DATA does not name the data folder")
def test_copy_of_the_first_mask_on_davis():
    root = Path(os.environ["STREAMVOS_DATA"]) / "davis2016"
    if not root.is_dir():
        pytest.skip(f"{root} is absent")
    evaluation = evaluate(copy_first_mask, root)
    assert len(evaluation.sequences) == 8
    assert 0.31 < evaluation.jf_mean < 0.34
