"""The hub's detectors beside the library's own pre- and postprocessing, with small random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from streamvos.errors import InputError, IntegrityError, MissingWeightsError
from streamvos.models import catalogue, coco
from streamvos.models.candidates import Candidates
from streamvos.models.detectors import DETECTORS, DetectorSetup, expect_detector_weights
from tests.streamvos.models import tiny_detectors

CPU = torch.device("cpu")
COCO_DETECTORS = ("rtdetr-v2", "dfine", "rf-detr")
WITH_LEVELS = ("rtdetr-v2", "dfine")


def picture(height: int = 48, width: int = 80) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def build(name: str, classes: tuple[str, ...] = ()):
    return DETECTORS.get(name).build(DetectorSetup(CPU, classes))


def look(detector, image: np.ndarray) -> Candidates:
    return detector.predict(detector.features(image), image.shape[:2])


@pytest.mark.parametrize("name", COCO_DETECTORS)
@torch.inference_mode()
def test_boxes_scores_and_classes_are_the_library_s(fetched: Path, name: str):
    image, detector = picture(), build(name)
    entry = catalogue.ENTRIES[DETECTORS.get(name).weights]
    folder = catalogue.find(entry).parent
    model = getattr(transformers, detector.kind).from_pretrained(folder, local_files_only=True).eval()
    output = model(pixel_values=detector._pixels(image))
    ours = look(detector, image)
    known = torch.sigmoid(output.logits[0]).numpy()
    for column, label in model.config.id2label.items():
        words = {"motorbike": "motorcycle", "aeroplane": "airplane", "sofa": "couch", "tvmonitor": "tv"}
        if words.get(label, label) in coco.ID_OF:
            theirs = known[:, column]
            np.testing.assert_allclose(ours.scores[:, coco.ID_OF[words.get(label, label)]], theirs, atol=1e-5)
    assert (ours.scores > 0).any(axis=0).sum() == len(coco.NAMES)  # no column of "N/A" is a class
    x, y, wide, high = output.pred_boxes[0].numpy().T * np.array([[80], [48], [80], [48]])
    corners = np.stack([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], axis=1)
    np.testing.assert_allclose(ours.boxes_xyxy, corners, atol=1e-3)


@pytest.mark.parametrize("name", WITH_LEVELS)
def test_maps_go_to_a_memory_and_back(fetched: Path, name: str):
    detector, image = build(name), picture()
    maps = detector.features(image)
    arrays = detector.to_arrays(maps)
    assert {level: array.shape[2] for level, array in arrays.items()} == dict(detector.levels)
    assert [array.shape[:2] for array in arrays.values()] == [(8, 8), (4, 4), (2, 2)]
    back = detector.predict(detector.from_arrays(arrays), (48, 80))
    np.testing.assert_array_equal(back.scores, detector.predict(maps, (48, 80)).scores)
    changed = {level: np.zeros_like(array) for level, array in arrays.items()}
    assert not np.allclose(detector.predict(detector.from_arrays(changed), (48, 80)).scores, back.scores)


def test_rf_detr_and_owlv2_have_no_levels(fetched: Path):
    assert not build("rf-detr").levels and not build("owlv2").levels


@torch.inference_mode()
def test_owlv2_looks_for_any_words_as_the_library_does(fetched: Path):
    words, image = ("red backpack", "kettle", "dog"), picture(64, 64)
    detector = build("owlv2", words)
    assert [detector.vocabulary[one] for one in (91, 92, coco.ID_OF["dog"])] == list(words)
    ours = look(detector, image)
    folder = catalogue.find(catalogue.ENTRIES["owlv2-base"]).parent
    model = transformers.Owlv2ForObjectDetection.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder, local_files_only=True, pad_token="!")
    tokens = tokenizer(
        [f"a photo of a {one}" for one in words], padding="max_length", max_length=40, return_tensors="pt"
    )
    processor = transformers.Owlv2ImageProcessor.from_pretrained(folder, local_files_only=True)
    pixels = processor(image, return_tensors="pt").pixel_values  # no scaling at this size
    output = model(pixel_values=pixels, input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
    (theirs,) = processor.post_process_object_detection(output, 0.0, target_sizes=[(64, 64)])
    ids = [91, 92, coco.ID_OF["dog"]]
    np.testing.assert_allclose(ours.scores[:, ids], torch.sigmoid(output.logits[0]), atol=1e-4)
    np.testing.assert_allclose(ours.scores.max(axis=1), theirs["scores"], atol=1e-4)
    np.testing.assert_allclose(ours.boxes_xyxy, theirs["boxes"], atol=0.05)


def test_owlv2_pads_to_a_square_at_the_right_and_the_bottom(fetched: Path):
    detector = build("owlv2", ("kettle",))
    wide, square = picture(32, 64), np.zeros((64, 64, 3), np.uint8)
    square[:32] = wide
    np.testing.assert_array_equal(look(detector, wide).scores, look(detector, square).scores)
    np.testing.assert_array_equal(look(detector, wide).boxes_xyxy, look(detector, square).boxes_xyxy)


def test_other_words_give_other_scores_and_none_means_coco_s(fetched: Path):
    image = picture()
    one, other = (look(build("owlv2", (word,)), image).scores[:, 91] for word in ("kettle", "red backpack"))
    assert not np.allclose(one, other)
    assert sorted(build("owlv2").vocabulary.values()) == sorted(coco.NAMES)
    with pytest.raises(InputError, match="expected words"):
        build("owlv2", (" ",))


@pytest.mark.parametrize("name", (*COCO_DETECTORS, "owlv2"))
def test_what_is_not_fetched_is_said_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str):
    monkeypatch.setenv("STREAMVOS_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError, match=f"streamvos models fetch {DETECTORS.get(name).weights}"):
        expect_detector_weights(name)
    with pytest.raises(MissingWeightsError):
        build(name)


@pytest.mark.parametrize(
    "file, change, message",
    [
        pytest.param("preprocessor_config.json", {"size": {"shortest_edge": 8}}, "height and width", id="size"),
        pytest.param("preprocessor_config.json", {"image_std": [0, 1, 1], "do_normalize": True}, "deviation", id="std"),
        pytest.param("config.json", {"model_type": "detr"}, "rt_detr_v2", id="another-model"),
        pytest.param(
            "config.json", {"id2label": {"0": "red", "1": "blue"}}, "cannot be read|do not fit", id="other-classes"
        ),
    ],
)
def test_folders_that_are_not_such_a_model(fetched: Path, tmp_path: Path, file: str, change: dict, message: str):
    folder = tmp_path / "model"
    shutil.copytree(catalogue.find(catalogue.ENTRIES["rtdetr-v2-r18"]).parent, folder)
    (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | change))
    with pytest.raises(IntegrityError, match=message):
        DETECTORS.get("rtdetr-v2")(folder, CPU)


@pytest.mark.parametrize("name", (*COCO_DETECTORS, "owlv2"))
def test_only_pictures_are_taken(fetched: Path, name: str):
    with pytest.raises(InputError, match="uint8 RGB"):
        build(name).features(np.zeros((8, 8), np.uint8))


def test_every_size_of_picture_is_seen_at_the_model_s(fetched: Path):
    side = tiny_detectors.SIDES["rtdetr-v2"]
    assert build("rtdetr-v2")._pixels(picture(20, 300)).shape == (1, 3, side, side)
