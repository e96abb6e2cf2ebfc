"""Draw one frame's results into its picture: tinted masks with contours, boxes, labels, what is not visible.

Work is done on the crop of each box, so that the cost goes with the size of the objects.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from streamvos.export.colours import id_colour, ink_on
from streamvos.export.fonts import font_for, printable
from streamvos.records import Detections, ObjectMasks, StepResult

_TINT = 0.42  # share of the object's colour in its pixels
_DEPTH_TINT = 0.6  # share of the distance's colour
_MAX_LISTED = 8  # rows of objects that are not visible
_BESIDE = "#.0123456789abcdefghijklmnopqrstuvwxyz"  # stands beside a name in a label
_GREY = (205, 205, 205)
_DARK = (24, 24, 28)

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Shown:
    """What is drawn into a picture."""

    masks: bool = True  # tint and contour
    boxes: bool = True  # of objects, and thin grey ones of detections that are no object
    ids: bool = True  # number and name of each object, and how sure its class is
    states: bool = True  # tracked, occluded or lost, and how sure the mask is
    depth: bool = False  # colours by distance over the picture, where it is known
    header: bool = True  # shot, time and frame
    hidden: frozenset[int] = frozenset()  # objects that are left out


EVERYTHING = Shown()


def draw_result(
    image: np.ndarray, result: StepResult, labels: np.ndarray | None, shown: Shown = EVERYTHING
) -> np.ndarray:
    """A copy of the picture with the results in it.

    Args:
        image: (H, W, 3) uint8 RGB.
        result: of the same frame.
        labels: (H, W) uint16 picture of ids, or None where there are no masks.
        shown: what is drawn.
    """
    canvas = image.copy()
    font_px = min(max(round(min(image.shape[:2]) / 34), 10), 40)
    if shown.depth and result.scene is not None and result.scene.depth_m is not None:
        _draw_depth(canvas, result.scene.depth_m)
    taken: list[Box] = []
    if shown.header:
        header = _header(result)
        height, width = _text_alpha(header, font_px).shape
        taken.append((6, 6, 6 + width, 6 + height))
    if result.detections is not None and shown.boxes:
        _draw_unmatched(canvas, result.detections, font_px, taken)
    if result.masks is not None and labels is not None:
        rows = [row for row, key in enumerate(result.masks.object_ids.tolist()) if key not in shown.hidden]
        visible = [row for row in rows if result.masks.states[row] == "tracked"]
        for row in visible:
            _draw_object(canvas, result.masks, row, labels, shown)
        if shown.ids or shown.states:
            for row in visible:  # after all masks, so that no label is covered
                _draw_label(canvas, result.masks, row, font_px, taken, shown)
        if shown.states:
            _draw_absent(canvas, result.masks, [row for row in rows if row not in visible], font_px)
    if shown.header:
        _chip(canvas, header, 6, 6, font_px, _DARK, 0.65, ink=(255, 255, 255))
    return canvas


def _draw_depth(canvas: np.ndarray, depth_m: np.ndarray) -> None:
    """Near is red, far is blue, over the range of this frame; a point that stands alone becomes a dot."""
    height, width = canvas.shape[:2]
    known = depth_m > 0
    if not known.any():
        return
    near, far = np.percentile(depth_m[known], (2, 98))
    share = np.clip((far - depth_m) / max(far - near, 1e-6), 0, 1)
    levels = np.where(known, 1 + np.round(254 * share), 0).astype(np.uint8)
    if known.mean() < 0.2:
        levels = cv2.dilate(levels, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    levels = cv2.resize(levels, (width, height), interpolation=cv2.INTER_NEAREST)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    mixed = cv2.addWeighted(canvas, 1 - _DEPTH_TINT, colours, _DEPTH_TINT, 0)
    cv2.copyTo(mixed, (levels > 0).astype(np.uint8), canvas)


def _draw_object(canvas: np.ndarray, masks: ObjectMasks, row: int, labels: np.ndarray, shown: Shown) -> None:
    x1, y1, x2, y2 = _inside(masks.boxes_xyxy[row], canvas.shape, margin=2)
    if x2 <= x1 or y2 <= y1:
        return
    colour = id_colour(int(masks.object_ids[row]))
    if shown.masks:
        mask = (labels[y1:y2, x1:x2] == min(int(masks.object_ids[row]), 65535)).astype(np.uint8)
        crop = canvas[y1:y2, x1:x2]
        cv2.copyTo(cv2.LUT(crop, _tint_table(colour)), mask, crop)
        contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        thick = 2 if min(canvas.shape[:2]) >= 360 else 1
        cv2.drawContours(crop, contours, -1, colour, thick, cv2.LINE_AA)
    if shown.boxes:
        x1, y1, x2, y2 = _inside(masks.boxes_xyxy[row], canvas.shape)
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), colour, 1)


def _draw_label(canvas: np.ndarray, masks: ObjectMasks, row: int, font_px: int, taken: list[Box], shown: Shown) -> None:
    object_id = int(masks.object_ids[row])
    called = _drawn_name(masks.class_names[row], font_px)
    name = f" {called}" if called else ""
    sure = "" if np.isnan(masks.class_scores[row]) else f" {masks.class_scores[row]:.2f}"
    parts = [f"#{object_id}{name}{sure}"] if shown.ids else []
    parts += [f"{masks.states[row]} {masks.scores[row]:.2f}"] if shown.states else []
    text = " \N{MIDDLE DOT} ".join(parts)
    x1, y1, _, _ = _inside(masks.boxes_xyxy[row], canvas.shape)
    _place_text(canvas, text, x1, y1, font_px, id_colour(object_id), taken)


def _draw_unmatched(canvas: np.ndarray, found: Detections, font_px: int, taken: list[Box]) -> None:
    """Detections that no object took, thin and grey."""
    for row in np.flatnonzero(found.object_ids < 0):
        x1, y1, x2, y2 = _inside(found.boxes_xyxy[row], canvas.shape)
        if x2 <= x1 or y2 <= y1:
            continue
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), _GREY, 1)
        text = f"{_drawn_name(found.class_names[row], font_px)} {found.scores[row]:.2f}"
        _place_text(canvas, text, x1, y1, max(9, font_px - 2), _DARK, taken, opacity=0.5)


def _draw_absent(canvas: np.ndarray, masks: ObjectMasks, rows: list[int], font_px: int) -> None:
    """A list at the lower left of the objects that are followed and not visible."""
    texts = []
    for row in rows[:_MAX_LISTED]:
        object_id = int(masks.object_ids[row])
        called = _drawn_name(masks.class_names[row], font_px)
        name = f"{called} " if called else ""
        texts.append((f"#{object_id} {name}{masks.states[row]}", id_colour(object_id)))
    if len(rows) > _MAX_LISTED:
        texts.append((f"and {len(rows) - _MAX_LISTED} more", _GREY))
    bottom = canvas.shape[0] - 6
    for text, colour in reversed(texts):
        height = _text_alpha(text, font_px).shape[0]
        bottom -= height + 2
        _chip(canvas, text, 6, bottom, font_px, _DARK, 0.65, ink=colour)


def _drawn_name(name: str, font_px: int) -> str:
    """A name as it is drawn: "object" where no font here has its letters, in place of empty boxes."""
    name = printable(name)
    # beside a name, its label has letters that every font has
    return name if font_for(f"{name} {_BESIDE}", font_px) is not None else "object"


def _header(result: StepResult) -> str:
    minutes, seconds = divmod(result.time_s, 60)
    return f"shot {result.shot_index}   {int(minutes):d}:{seconds:05.2f}   frame {result.frame_index}"


def _place_text(
    canvas: np.ndarray,
    text: str,
    x: int,
    y: int,
    font_px: int,
    colour: tuple[int, int, int],
    taken: list[Box],
    opacity: float = 0.85,
) -> None:
    """Put a label above (x, y), inside the picture, moved down past the labels that are there already."""
    height, width = _text_alpha(text, font_px).shape
    x = max(0, min(x, canvas.shape[1] - width))
    y = max(0, y - height)
    for _ in range(8):
        other = next((box for box in taken if _overlap((x, y, x + width, y + height), box)), None)
        if other is None or other[3] + height > canvas.shape[0]:
            break
        y = other[3] + 1
    taken.append(_chip(canvas, text, x, y, font_px, colour, opacity, ink_on(colour)))


def _chip(
    canvas: np.ndarray,
    text: str,
    x: int,
    y: int,
    font_px: int,
    colour: tuple[int, int, int],
    opacity: float,
    ink: tuple[int, int, int],
) -> Box:
    """Text on a patch of colour; returns where it went."""
    alpha = _text_alpha(text, font_px)
    y = max(0, min(y, canvas.shape[0] - alpha.shape[0]))
    crop = canvas[y : y + alpha.shape[0], x : x + alpha.shape[1]]
    if not crop.size:
        return x, y, x, y
    alpha = alpha[: crop.shape[0], : crop.shape[1], None].astype(np.float32)
    patch = crop * np.float32(1 - opacity) + np.float32(opacity) * np.array(colour, np.float32)
    crop[:] = patch + (np.array(ink, np.float32) - patch) * alpha
    return x, y, x + crop.shape[1], y + crop.shape[0]


@functools.lru_cache(maxsize=512)
def _text_alpha(text: str, font_px: int) -> np.ndarray:
    """Coverage of the text with a margin, (h, w) float16 in [0, 1]."""
    font = font_for(text, font_px)
    assert font is not None, f"names are drawn as they are only where a font has their letters, got {text!r}"
    margin = max(2, font_px // 4)
    width = round(font.getlength(text)) + 2 * margin
    ascent, descent = font.getmetrics()
    image = Image.new("L", (width, ascent + descent + 2), 0)
    ImageDraw.Draw(image).text((margin, 1), text, fill=255, font=font)
    return (np.asarray(image) / 255).astype(np.float16)


@functools.lru_cache(maxsize=512)
def _tint_table(colour: tuple[int, int, int]) -> np.ndarray:
    levels = np.arange(256, dtype=np.float32)[:, None]
    mixed = levels * (1 - _TINT) + np.array(colour, np.float32) * _TINT
    return np.round(mixed).astype(np.uint8)[None]  # (1, 256, 3)


def _inside(box: np.ndarray, shape: tuple[int, ...], margin: int = 0) -> Box:
    x1, y1, x2, y2 = (float(side) for side in box)
    return (
        max(0, int(np.floor(x1)) - margin),
        max(0, int(np.floor(y1)) - margin),
        min(shape[1], int(np.ceil(x2)) + margin),
        min(shape[0], int(np.ceil(y2)) + margin),
    )


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
