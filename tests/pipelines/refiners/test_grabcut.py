import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines.refiners.gate import intersection_over_union
from pipelines.refiners.grabcut import RULES, GrabCutRefiner, GrabCutRules
from pipelines.refiners.grabcut_parts import clean, inscribed_ellipse
from pipelines.refiners.protocol import innermost_point
from streamvos.errors import InputError
from streamvos.masks import tight_box


def scene(centre=(70, 60), axes=(30, 20), size=(120, 160)) -> tuple[np.ndarray, np.ndarray]:
    """A red tilted ellipse with an inner stripe on a noisy green ground, and its mask."""
    rng = np.random.default_rng(0)
    image = np.full((*size, 3), (40, 140, 60), np.uint8)
    mask = np.zeros(size, np.uint8)
    cv2.ellipse(mask, centre, axes, 30, 0, 360, 1, -1)
    image[mask > 0] = (200, 40, 40)
    cv2.line(image, centre, (centre[0] + 8, centre[1]), (230, 200, 60), 3)
    return np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8), mask > 0


def refined(image: np.ndarray, rules: GrabCutRules = RULES, **prompt):
    refiner = GrabCutRefiner(rules)
    refiner.set_image(image, 0)
    return refiner.refine(**prompt)


def test_box_to_mask():
    image, truth = scene()
    (candidate,) = refined(image, box=tight_box(truth))
    assert intersection_over_union(candidate.mask, truth) > 0.9
    assert candidate.reason.startswith("GrabCut in the box")


@pytest.mark.parametrize("centre", [(5, 60), (155, 60), (70, 3), (158, 118)], ids=["left", "right", "top", "corner"])
def test_box_at_the_border(centre):
    image, truth = scene(centre)
    (candidate,) = refined(image, box=tight_box(truth))
    assert intersection_over_union(candidate.mask, truth) > 0.75


def test_box_beyond_the_frame_is_clipped():
    image, truth = scene((5, 60))
    box = tight_box(truth)
    beyond = box - np.array([40, 0, 0, 0], np.float32)
    assert np.array_equal(refined(image, box=beyond)[0].mask, refined(image, box=box)[0].mask)
    (candidate,) = refined(image, box=np.array([-50, -50, 900, 900], np.float32))
    assert candidate.mask.any() and candidate.mask.shape == truth.shape


@pytest.mark.parametrize("box", [(20, 20, 21, 21), (20, 20, 20.2, 20.3), (159.5, 0, 160, 120), (50, 50, 55, 90)])
def test_tiny_box_gives_the_ellipse_and_says_so(box):
    (candidate,) = refined(scene()[0], box=np.array(box, np.float32))
    assert candidate.mask.any()
    assert "inscribed ellipse" in candidate.reason


@pytest.mark.parametrize("image", [np.zeros((90, 90, 3), np.uint8), np.full((90, 90, 3), 77, np.uint8)])
def test_a_picture_without_contrast_still_gives_a_mask(image):
    box = np.array([20, 30, 70, 60], np.float32)
    (candidate,) = refined(image, box=box)
    assert intersection_over_union(candidate.mask, inscribed_ellipse((90, 90), box)) > 0.5


@pytest.mark.parametrize("setting", [{"min_fill": 0.99}, {"max_fill": 0.21}], ids=["empty", "full"])
def test_a_result_out_of_bounds_gives_the_ellipse_and_says_so(setting):
    image, truth = scene()
    box = tight_box(truth)
    (candidate,) = refined(image, GrabCutRules(**setting), box=box)
    assert np.array_equal(candidate.mask, inscribed_ellipse(truth.shape, box))
    assert "of the box: inscribed ellipse instead" in candidate.reason


def test_points_to_mask():
    image, truth = scene()
    points = np.array([[60, 55], [80, 66], [130, 60]], np.float32)
    (candidate,) = refined(image, points=points, labels=np.array([True, True, False]))
    assert intersection_over_union(candidate.mask, truth) > 0.85
    assert candidate.mask[55, 60] and not candidate.mask[60, 130]


def test_a_point_on_a_plain_ground_gives_something_around_it():
    (candidate,) = refined(
        np.full((90, 90, 3), 77, np.uint8), points=np.array([[40, 50]], np.float32), labels=np.ones(1, bool)
    )
    assert candidate.mask[50, 40] and candidate.mask.mean() < 0.5


@pytest.mark.parametrize("size", [5, 7])
def test_a_coarse_mask_is_refined_in_its_band_only(size: int):
    image, truth = scene()
    kernel = np.ones((size, size), np.uint8)
    for coarse in (
        cv2.erode(truth.astype(np.uint8), kernel) > 0,
        cv2.dilate(truth.astype(np.uint8), kernel) > 0,
    ):
        band, box = refined(image, coarse=coarse)
        assert (band.name, box.name) == ("band", "box")
        assert intersection_over_union(band.mask, truth) > intersection_over_union(coarse, truth)
        half_px = max(3.0, 0.06 * np.sqrt(coarse.sum()))
        far = cv2.distanceTransform((~coarse).astype(np.uint8), cv2.DIST_L2, 5) > half_px + 1
        assert not (band.mask & far).any()


def test_same_input_same_mask_whatever_came_before():
    image, truth = scene()
    box = tight_box(truth)
    refiner = GrabCutRefiner(seed=3)
    refiner.set_image(image, 5)
    first = refiner.refine(box=box)[0].mask
    refiner.set_image(scene((40, 40))[0], 6)
    refiner.refine(box=box)
    cv2.setRNGSeed(99)
    refiner.set_image(image, 5)
    assert np.array_equal(refiner.refine(box=box)[0].mask, first)


@pytest.mark.parametrize(
    "prompt, message",
    [
        pytest.param({}, "at least one of", id="nothing"),
        pytest.param({"box": np.array([200, 0, 300, 50], np.float32)}, "outside the 160x120 frame", id="box-outside"),
        pytest.param({"coarse": np.zeros((120, 160), bool)}, "not empty", id="empty-mask"),
        pytest.param({"coarse": np.ones((120, 159), bool)}, r"\(120, 160\) pixels", id="mask-size"),
        pytest.param(
            {"points": np.array([[500, 5]], np.float32), "labels": np.ones(1, bool)},
            "no point",
            id="point-outside",
        ),
    ],
)
def test_bad_prompts(prompt, message):
    with pytest.raises(InputError, match=message):
        refined(scene()[0], **prompt)


def test_clean_by_hand():
    mask = np.zeros((20, 20), bool)
    mask[2:18, 2:18] = True
    mask[9, 9] = False  # a small hole: closed
    mask[0, 19] = True  # a small part: dropped
    expected = np.zeros((20, 20), bool)
    expected[2:18, 2:18] = True
    assert np.array_equal(clean(mask), expected)
    assert not clean(np.zeros((5, 5), bool)).any()


def test_inscribed_ellipse_by_hand():
    mask = inscribed_ellipse((40, 60), np.array([10, 10, 50, 30], np.float32))
    assert tight_box(mask).tolist() == [10, 10, 50, 30]
    assert mask.sum() == pytest.approx(np.pi * 20 * 10, rel=0.02)


@pytest.mark.skipif("STREAMVOS_DATA" not in os.environ, reason="STREAMVOS_DATA does not name the data folder")
def test_boxes_and_points_on_davis():
    from eval.datasets.davis import find_sequences

    root = Path(os.environ["STREAMVOS_DATA"]) / "davis2016"
    if not root.is_dir():
        pytest.skip(f"{root} is absent")
    from_box, from_ellipse, from_point = [], [], []
    for sequence in find_sequences(root):
        image, truth = next(sequence.images()), next(sequence.label_maps()) > 0
        box = tight_box(truth)
        from_box.append(intersection_over_union(refined(image, box=box)[0].mask, truth))
        from_ellipse.append(intersection_over_union(inscribed_ellipse(truth.shape, box), truth))
        click = {"points": innermost_point(truth)[None], "labels": np.ones(1, bool)}
        from_point.append(intersection_over_union(refined(image, **click)[0].mask, truth))
    assert np.mean(from_box) > np.mean(from_ellipse) + 0.1
    assert np.mean(from_box) > 0.65
    assert np.mean(from_point) > 0.38
