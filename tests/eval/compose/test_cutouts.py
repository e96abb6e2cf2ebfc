"""Which objects are cut out, from which layouts, and that their edges carry nothing of where they were."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from eval.compose.cutout_readers import read_folder
from eval.compose.cutouts import cut, find_candidates
from eval.compose.learned import usable
from pipelines.training.held_out import is_held_out
from streamvos.errors import InputError

H, W = 200, 240


def _oval(centre: tuple[int, int] = (120, 100), axes: tuple[int, int] = (70, 60)) -> np.ndarray:
    mask = np.zeros((H, W), np.uint8)
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
    return mask


def _pair(folder: Path, masks: list[np.ndarray], class_name: str = "dog") -> Path:
    for place in (class_name, "mask"):
        (folder / place).mkdir(parents=True)
    for index, mask in enumerate(masks):
        image = np.full((H, W, 3), (0, 255, 0), np.uint8)
        image[mask > 0] = (40, 60, 200)
        image = cv2.GaussianBlur(image, (0, 0), 1.5)  # a camera mixes both sides of an edge
        cv2.imwrite(str(folder / class_name / f"{index}.png"), image)
        cv2.imwrite(str(folder / "mask" / f"{index}.png"), mask)
    return folder


def _coco(folder: Path, objects: list[tuple[np.ndarray, str]]) -> Path:
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "a.png"), np.full((H, W, 3), 90, np.uint8))
    names = sorted({name for _, name in objects})
    annotations = []
    for number, (mask, name) in enumerate(objects):
        contour = max(cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)
        polygon = contour.reshape(-1).tolist()
        annotations.append(
            {"id": number, "image_id": 1, "category_id": names.index(name), "segmentation": [polygon], "iscrowd": 0}
        )
    document = {
        "images": [{"id": 1, "file_name": "a.png", "height": H, "width": W}],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(names)],
    }
    (folder / "instances.json").write_text(json.dumps(document))
    return folder


def test_no_halo(tmp_path: Path) -> None:
    (candidate,) = find_candidates([(_pair(tmp_path, [_oval()]), None)])
    cutout = cut(candidate)
    shown = cutout.alpha > 0.05
    assert cutout.colour[shown][:, 1].max() < 90, "the green of the old background shows at the edge"
    assert cutout.colour_name == "red"
    assert 0.85 * _oval().sum() < cutout.alpha.sum() < 1.02 * _oval().sum()


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(_oval((60, 100)), id="cut by the border"),
        pytest.param(_oval(axes=(20, 20)), id="small"),
        pytest.param(np.maximum(_oval((70, 100), (40, 60)), _oval((180, 100), (40, 60))), id="in two parts"),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path: Path, mask: np.ndarray) -> None:
    with pytest.raises(InputError, match="no object is whole"):
        find_candidates([(_pair(tmp_path, [mask]), None)])


def test_what_a_neighbour_touches_is_refused(tmp_path: Path) -> None:
    front, back = _oval((90, 100), (55, 60)), _oval((160, 100), (55, 60))
    back[front > 0] = 0
    apart = _oval((90, 100), (55, 60)), _oval((200, 40), (20, 20))
    touching = find_candidates([(_coco(tmp_path / "b", [(apart[0], "dog"), (apart[1], "cat")]), None)])
    assert [candidate.class_name for candidate in touching] == ["dog"]
    with pytest.raises(InputError, match="no object is whole"):
        find_candidates([(_coco(tmp_path / "a", [(front, "dog"), (back, "cat")]), None)])


def test_furniture_does_not_move(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of a class that moves"):
        find_candidates([(_coco(tmp_path, [(_oval(), "chair")]), None)])


def test_yolo_polygons(tmp_path: Path) -> None:
    for place in ("images/train", "labels/train"):
        (tmp_path / place).mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "images/train/7.jpg"), np.zeros((H, W, 3), np.uint8))
    corners = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]])
    text = " ".join(f"{value}" for value in corners.ravel())
    (tmp_path / "labels/train/7.txt").write_text(f"15 {text}\n")  # 15 of YOLO's 80 is COCO's 17
    (picture,) = read_folder(tmp_path)
    assert picture.names == ("cat",)
    inner = picture.masks[0][H // 4 + 1 : 3 * H // 4 - 1, W // 4 + 1 : 3 * W // 4 - 1]
    assert inner.all() and abs(int(picture.masks.sum()) - H * W // 4) < H + W
    (tmp_path / "labels/train/7.txt").write_text("15 0.1 0.2 0.3\n")
    with pytest.raises(InputError, match="line 1: expected a polygon"):
        list(read_folder(tmp_path))


def test_coco_polygons_become_the_masks(tmp_path: Path) -> None:
    (picture,) = read_folder(_coco(tmp_path, [(_oval(), "dog")]))
    assert picture.names == ("dog",)
    assert (picture.masks[0] & _oval()).sum() / (picture.masks[0] | _oval()).sum() > 0.97


def test_classes_of_picture_and_mask_folders(tmp_path: Path) -> None:
    parts = _oval()
    parts[:100][parts[:100] > 0] = 2
    clothes = _pair(tmp_path / "c", [parts], "photos")
    assert [picture.names for picture in read_folder(clothes)] == [("person",)]
    plain = _pair(tmp_path / "p", [_oval()], "photos")
    with pytest.raises(InputError, match="p:CLASS"):
        list(read_folder(plain))
    assert [picture.names for picture in read_folder(plain, "zebra")] == [("zebra",)]


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected COCO-style annotations"):
        list(read_folder(tmp_path))
    with pytest.raises(InputError, match="expected a folder"):
        list(read_folder(tmp_path / "absent"))


def _parted(folder: Path, count: int) -> Path:
    """Photos beside labels, as the trainings read them: every tenth is held out."""
    for place in ("photos", "labels"):
        (folder / place).mkdir(parents=True)
    for index in range(count):
        cv2.imwrite(str(folder / "photos" / f"{index:03d}.jpg"), np.full((H, W, 3), 90, np.uint8))
        cv2.imwrite(str(folder / "labels" / f"{index:03d}.png"), _oval())
    return folder


def test_held_out_and_training_pictures(tmp_path: Path) -> None:
    folders = [(_parted(tmp_path / "people", 12), "person")]
    stems = {
        which: [candidate.path.stem for candidate in find_candidates(folders, pictures=which)]
        for which in ("all", "held-out", "training")
    }
    assert stems["held-out"] == ["000", "010"]
    assert stems["all"] == sorted(stems["held-out"] + stems["training"]) and len(stems["all"]) == 12


def test_many_pictures_are_thinned_after_the_choice(tmp_path: Path) -> None:
    folder = _parted(tmp_path / "people", 320)
    pictures = list(read_folder(folder, "person", usable(folder, "held-out")))
    assert [picture.path.stem for picture in pictures] == [f"{index:03d}" for index in range(0, 320, 10)]


def test_what_no_training_reads_is_held_out_and_never_for_training(tmp_path: Path) -> None:
    folders = [(_pair(tmp_path, [_oval(), _oval()]), None)]
    assert len(find_candidates(folders, pictures="held-out")) == 2
    with pytest.raises(InputError, match="no training of ours reads this layout"):
        find_candidates(folders, pictures="training")


def test_label_maps_are_cut_from_and_held_out_by_name(tmp_path: Path) -> None:
    names = [f"p{index}" for index in range(40)]
    labels = np.where(_oval() > 0, 1, 0).astype(np.uint8)
    labels[:10, :10] = 255  # a crowd: no object
    for name in names:
        for place, suffix, content in (("images", "jpg", np.full((H, W, 3), 90, np.uint8)), ("masks", "png", labels)):
            (tmp_path / place).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / place / f"{name}.{suffix}"), content)
    table = {"partial": False, "images": {name: {"size": [W, H], "classes": ["dog"]} for name in names}}
    (tmp_path / "labels.json").write_text(json.dumps(table))
    stems = {
        which: [each.path.stem for each in find_candidates([(tmp_path, None)], pictures=which)]
        for which in ("all", "held-out", "training")
    }
    assert stems["held-out"] == [name for name in sorted(names) if is_held_out(name)]
    assert sorted(stems["held-out"] + stems["training"]) == stems["all"] == sorted(names)
