"""The user's words about objects, read from files and options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from streamvos.errors import InputError, unknown_name
from streamvos.records import Prompt, Removal

_PROMPT_KEYS = ("frame", "object", "box", "points", "labels", "mask", "label")


_REMOVAL_KEYS = ("frame", "object")


def read_prompts(path: Path) -> tuple[list[Prompt], list[Removal]]:
    """Read a prompts file.

    Args:
        path: JSON, `{"prompts": [{"frame": 0, "object": 1, "box": [x1, y1, x2, y2], "label": "dog"}, ...],
            "removals": [{"frame": 30, "object": 1}, ...]}`. In place of "box", a prompt may have "points",
            [[x, y], ...], with "labels", [1, 0, ...] (1 on the object, 0 off it), or "mask", the path of a picture
            relative to the file, in which every pixel other than 0 is the object. A box may come with points. Pixels
            are those of the video.

    Raises:
        InputError: the file is not of this form; says where.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"prompts file {str(path)!r} cannot be read ({error.strerror})") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"prompts file {str(path)!r} is not valid JSON: {error}") from None
    where = f"prompts file {str(path)!r}"
    if not isinstance(data, dict):
        raise InputError(f'{where}: expected {{"prompts": [...]}}, got {type(data).__name__}')
    _only_known(data, ("prompts", "removals"), where)
    prompts = [
        _prompt(entry, f"{where}, prompt {number}", path.parent)
        for number, entry in enumerate(_entries(data, "prompts", where))
    ]
    removals = [
        _removal(entry, f"{where}, removal {number}", prompts)
        for number, entry in enumerate(_entries(data, "removals", where))
    ]
    if not prompts:
        raise InputError(f"{where}: expected at least one prompt")
    return prompts, removals


def read_first_mask(path: Path) -> list[Prompt]:
    """Prompts for frame 0 from a label picture.

    Args:
        path: a palette or grey picture; the value of a pixel is the object's id, 0 the background. A picture of 0
            and 255 alone is object 1.

    Raises:
        InputError: not such a picture, or no object in it.
    """
    labels = _read_labels(path)
    ids = np.unique(labels[labels > 0]).tolist()
    if not ids:
        raise InputError(f"mask {str(path)!r} holds no object: every pixel is 0")
    if ids == [255]:
        return [Prompt(0, 1, mask=labels > 0)]
    return [Prompt(0, object_id, mask=labels == object_id) for object_id in ids]


def parse_box(text: str) -> Prompt:
    """A prompt for frame 0 from `id:x1,y1,x2,y2`."""
    try:
        head, _, tail = text.partition(":")
        object_id, sides = int(head), [float(side) for side in tail.split(",")]
    except ValueError:
        object_id, sides = 0, []
    if len(sides) != 4 or object_id < 1 or not np.isfinite(sides).all():
        raise InputError(
            f"--box {text!r}: expected id:x1,y1,x2,y2 in pixels with an id of at least 1, as 1:20,30,120,90"
        )
    try:
        return Prompt(0, object_id, box=np.array(sides, np.float32))
    except InputError as error:
        raise InputError(f"--box {text!r}: {error}") from None


def expect_distinct(prompts: Iterable[Prompt]) -> None:
    """Raise `InputError` where two prompts speak of the same object in the same frame."""
    seen: set[tuple[int, int]] = set()
    for prompt in prompts:
        place = prompt.frame_index, prompt.object_id
        if place in seen:
            raise InputError(
                f"two prompts for object {prompt.object_id} at frame {prompt.frame_index}; expected one for each "
                "object and frame: give other objects other ids (--prompts, --first-mask and --box count together)"
            )
        seen.add(place)


def digest(prompts: Sequence[Prompt], removals: Sequence[Removal]) -> str | None:
    """A short text that differs where the user's words differ; None where there are none."""
    if not prompts and not removals:
        return None
    sha = hashlib.sha256()
    for prompt in prompts:
        sha.update(f"{prompt.frame_index} {prompt.object_id} {prompt.label!r}\n".encode())
        for name in ("box", "points", "labels", "mask"):
            array = getattr(prompt, name)
            if array is not None:
                sha.update(f"{name} {array.dtype} {array.shape}\n".encode() + array.tobytes())
    for removal in removals:
        sha.update(f"remove {removal.frame_index} {removal.object_id}\n".encode())
    return sha.hexdigest()[:16]


def _entries(data: Mapping[str, Any], key: str, where: str) -> list[Any]:
    entries = data.get(key, [])
    if not isinstance(entries, list):
        raise InputError(f"{where}: expected {key!r} to be a list, got {type(entries).__name__}")
    return entries


def _only_known(entry: Any, keys: Sequence[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: expected an object with {', '.join(keys)}; got {entry!r}")
    for key in entry:
        if key not in keys:
            raise InputError(f"{where}: {unknown_name('key', key, keys)}")


def _whole(entry: Mapping[str, Any], key: str, least: int, where: str) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        came = "nothing" if key not in entry else repr(value)
        raise InputError(f"{where}: expected {key!r} to be a whole number of at least {least}, got {came}")
    return value


def _prompt(entry: Any, where: str, folder: Path) -> Prompt:
    _only_known(entry, _PROMPT_KEYS, where)
    frame, object_id = _whole(entry, "frame", 0, where), _whole(entry, "object", 1, where)
    label = entry.get("label")
    if label is not None and not isinstance(label, str):
        raise InputError(f"{where}: expected 'label' to be a text, got {label!r}")
    parts: dict[str, np.ndarray] = {}
    if "box" in entry:
        parts["box"] = _numbers(entry["box"], (4,), "'box' to be [x1, y1, x2, y2]", where)
    if "points" in entry:
        parts["points"] = _numbers(entry["points"], (None, 2), "'points' to be [[x, y], ...]", where)
    if "labels" in entry:
        parts["labels"] = _numbers(entry["labels"], (None,), "'labels' to be [1, 0, ...]", where) > 0
    if "mask" in entry:
        if not isinstance(entry["mask"], str):
            raise InputError(f"{where}: expected 'mask' to be a path, got {entry['mask']!r}")
        parts["mask"] = _read_labels(folder / entry["mask"]) > 0
    try:
        return Prompt(frame, object_id, label=label, **parts)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _removal(entry: Any, where: str, prompts: Sequence[Prompt]) -> Removal:
    _only_known(entry, _REMOVAL_KEYS, where)
    removal = Removal(_whole(entry, "frame", 0, where), _whole(entry, "object", 1, where))
    if not any(p.object_id == removal.object_id and p.frame_index <= removal.frame_index for p in prompts):
        raise InputError(
            f"{where}: no prompt up to frame {removal.frame_index} names object {removal.object_id}, "
            "so it cannot be removed there"
        )
    return removal


def _numbers(value: Any, shape: tuple[int | None, ...], wanted: str, where: str) -> np.ndarray:
    try:
        array = np.array(value, np.float32)
    except (TypeError, ValueError):
        array = np.zeros(())
    fits = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits or not np.isfinite(array).all():
        raise InputError(f"{where}: expected {wanted} with finite numbers, got {value!r}")
    return array


def _read_labels(path: Path) -> np.ndarray:
    """The (H, W) values of a palette or grey picture."""
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L", "1", "I;16", "I"):
                raise InputError(
                    f"mask {str(path)!r}: expected a palette or grey picture of ids, got one of mode {image.mode}"
                )
            return np.array(image.convert("L") if image.mode == "1" else image).astype(np.int64)
    except FileNotFoundError:
        raise InputError(f"mask {str(path)!r} does not exist") from None
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"mask {str(path)!r} cannot be read as a picture ({error})") from None
