"""Whole objects cut from pictures, with soft edges that carry no colour of where they came from.

Chosen are objects that nothing cuts off: not the picture's border, not a neighbour. The mask is snapped to the
picture's own edges by GrabCut inside a narrow band; the colours of the edge are replaced by those of the inside (a
normalised convolution), so that no halo of the old background is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from eval.compose.classes import UNMOVABLE
from eval.compose.cutout_readers import PictureObjects, read_folder
from eval.compose.learned import Pictures, usable
from memory_bank.episodes.colours import colour_name
from streamvos.errors import InputError
from streamvos.masks import decode, encode, tight_box
from streamvos.records import Rle
from streamvos.video.images import read_image

_MARGIN_PX = 6


@dataclass(frozen=True)
class CutoutConfig:
    """Which objects are good enough to be shown."""

    min_side_px: int = 70  # shorter side of the box; smaller ones become blurred when they come near
    min_area_px: int = 4500  # of the mask
    border_px: int = 3  # an object nearer to the picture's border than this is taken to be cut off
    min_main_part: float = 0.93  # share of the largest connected part; less means something stands before it
    max_touching: float = 0.06  # share of the outline that touches a neighbour's mask; more means it is overlapped
    min_fill: float = 0.3  # share of the box that the mask covers; less are thin things with sky between them
    min_snap_iou: float = 0.88  # below this overlap GrabCut has run away, and the given mask is kept


@dataclass(frozen=True)
class Candidate:
    """An object that passed the gate, still in its picture."""

    class_name: str
    path: Path
    mask: Rle
    folder: str


@dataclass(frozen=True)
class Cutout:
    """An object to be drawn.

    Args:
        class_name: COCO name where there is one. source: folder and file it came from.
        colour: (h, w, 3) uint8 RGB, defined beyond the edge too. alpha: (h, w) float32 in [0, 1], 0 at the border.
        colour_name: of most of its pixels.
    """

    class_name: str
    source: str
    colour: np.ndarray
    alpha: np.ndarray
    colour_name: str

    @property
    def box_xyxy(self) -> np.ndarray:
        return tight_box(self.alpha > 0.5)


def find_candidates(
    folders: Sequence[tuple[Path, str | None]], config: CutoutConfig | None = None, pictures: Pictures = "all"
) -> list[Candidate]:
    """All objects of some folders that pass the gate.

    Args:
        folders: paths with a class, or None where classes are named inside.
        pictures: which of the pictures may be used, see `usable`.

    Raises:
        InputError: a folder in no known layout, or one without a single whole object in the pictures that may be used.
    """
    config = config or CutoutConfig()
    found = []
    for folder, class_name in folders:
        before = len(found)
        for picture in read_folder(folder, class_name, usable(folder, pictures)):
            found += _whole_objects(picture, folder.resolve().name, config)
        if len(found) == before:
            which = "" if pictures == "all" else f" in its {pictures} pictures"
            raise InputError(
                f"cut-outs {str(folder)!r}: no object is whole, large enough and of a class that moves{which}"
            )
    return found


def cut(candidate: Candidate, config: CutoutConfig | None = None) -> Cutout:
    """Cut an object out of its picture."""
    config = config or CutoutConfig()
    image, mask = read_image(candidate.path), decode(candidate.mask)
    x1, y1, x2, y2 = tight_box(mask).astype(int)
    pad = _MARGIN_PX + 4
    top, left = max(0, y1 - pad), max(0, x1 - pad)
    image, mask = image[top : y2 + pad, left : x2 + pad], mask[top : y2 + pad, left : x2 + pad]
    mask = _snap(image, _main_part(mask)[0], config)
    alpha = _soft(mask)
    colour = _spread_inside(image, mask)
    name = colour_name(image[mask])
    return Cutout(candidate.class_name, f"{candidate.folder}/{candidate.path.name}", colour, alpha, name or "grey")


def _whole_objects(picture: PictureObjects, folder: str, config: CutoutConfig) -> list[Candidate]:
    height, width = picture.masks.shape[1:]
    found = []
    for row, name in enumerate(picture.names):
        mask = picture.masks[row]
        x1, y1, x2, y2 = tight_box(mask > 0)
        border = config.border_px
        inside = x1 >= border and y1 >= border and x2 <= width - border and y2 <= height - border
        area = int(mask.sum())
        if name in UNMOVABLE or not inside or area < config.min_area_px or min(x2 - x1, y2 - y1) < config.min_side_px:
            continue
        if area < config.min_fill * (x2 - x1) * (y2 - y1):
            continue
        main, share = _main_part(mask > 0)
        if share < config.min_main_part or _touching(main, picture.masks, row) > config.max_touching:
            continue
        found.append(Candidate(name, picture.path, encode(main), folder))
    return found


def _main_part(mask: np.ndarray) -> tuple[np.ndarray, float]:
    """The largest connected part with small holes closed, and its share of the mask."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened)
    if len(stats) < 2:
        return mask, 0.0
    best = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    main = labels == best
    return main, float(stats[best, cv2.CC_STAT_AREA] / max(1, mask.sum()))


def _touching(mask: np.ndarray, masks: np.ndarray, row: int) -> float:
    """Share of the outline within 3 pixels of another object's mask."""
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8))
    outline = (grown > 0) & ~mask
    others = np.zeros(mask.shape, bool)
    for other in range(len(masks)):
        if other != row:
            others |= masks[other] > 0
    return float((outline & others).sum() / max(1, outline.sum()))


def _snap(image: np.ndarray, mask: np.ndarray, config: CutoutConfig) -> np.ndarray:
    """Move the outline to the picture's edges, inside a band around the given one."""
    band = max(2, round(0.012 * max(mask.shape)))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    binary = mask.astype(np.uint8)
    sure, maybe = cv2.erode(binary, disk), cv2.dilate(binary, disk)
    trimap = np.where(sure, cv2.GC_FGD, np.where(binary, cv2.GC_PR_FGD, np.where(maybe, cv2.GC_PR_BGD, cv2.GC_BGD)))
    trimap = trimap.astype(np.uint8)
    if not (sure.any() and (trimap == cv2.GC_BGD).any()):
        return mask
    cv2.setRNGSeed(0)
    cv2.grabCut(
        cv2.cvtColor(image, cv2.COLOR_RGB2BGR), trimap, None, np.zeros((1, 65)), np.zeros((1, 65)), 2,
        cv2.GC_INIT_WITH_MASK,
    )  # fmt: skip
    snapped = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    snapped = cv2.medianBlur(_main_part(snapped)[0].astype(np.uint8), 5) > 0
    overlap = (snapped & mask).sum() / max(1, (snapped | mask).sum())
    return snapped if overlap >= config.min_snap_iou else mask


def _soft(mask: np.ndarray) -> np.ndarray:
    """The mask drawn in by about a pixel, with an edge two pixels wide."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    alpha = cv2.GaussianBlur(inner.astype(np.float32), (0, 0), 1.0)
    alpha = np.clip(1.6 * alpha - 0.3, 0, 1)
    alpha[:1], alpha[-1:], alpha[:, :1], alpha[:, -1:] = 0, 0, 0, 0
    return alpha


def _spread_inside(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Colours of the inside carried over the edge and beyond, where the picture's own are mixed with its background."""
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=3).astype(np.float32)
    result, known = image.astype(np.float32), core > 0
    filled = np.zeros_like(result)
    weight = np.zeros(mask.shape, np.float32)
    for sigma in (1.5, 4.0, 12.0):  # near colours first, far ones only where nothing near is known
        share = cv2.GaussianBlur(core, (0, 0), sigma)
        spread = cv2.GaussianBlur(result * core[..., None], (0, 0), sigma)
        take = (weight < 0.02) & (share > 0.02)
        filled[take] = spread[take] / share[take, None]
        weight[take] = share[take]
    ratio = cv2.GaussianBlur(known.astype(np.float32), (0, 0), 1.0)[..., None]  # no seam where the core ends
    reached = (weight > 0)[..., None]
    mixed = np.where(known[..., None], result, np.where(reached, ratio * result + (1 - ratio) * filled, result))
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
