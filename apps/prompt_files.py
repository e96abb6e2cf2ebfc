"""The user's words about objects, read from files and options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.mask_pictures import read_mask_picture
from pipelines.prompts import MAX_OBJECT_ID
from streamvos.errors import InputError, unknown_name
from streamvos.records import Prompt, Removal

_PROMPT_KEYS = ("frame", "object", "box", "points", "labels", "mask", "label", "choice")
_REMOVAL_KEYS = ("frame", "object")


def read_prompts(path: Path) -> tuple[list[Prompt], list[Removal]]:
    """Read a prompts file.

    Args:
        path: JSON, `{"prompts": [{"frame": 0, "object": 1, "box": [x1, y1, x2, y2], "label": "dog"}, ...],
            "removals": [{"frame": 30, "object": 1}, ...]}`. In place of "box", a prompt may have "points",
            [[x, y], ...], with "labels", [1, 0, ...] (1 on the object, 0 off it), or "mask", the path of a picture
            relative to the file, in which every pixel other than 0 and void is the object. A box may come with points.
            Pixels are those of the video. UTF-8; UTF-16 and UTF-32, as some editors save, are read too.

    Raises:
        InputError: the file is not of this form; says where.
    """
    where = f"prompts file {str(path)!r}"
    try:
        data = json.loads(path.read_bytes())  # tells the encoding by the first bytes, a byte order mark included
    except OSError as error:
        raise InputError(f"{where} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not valid JSON: {error}") from None
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
        path: a palette or grey picture, or one of DAVIS colours; the value of a pixel is the object's id, 0 the
            background. A picture of 0 and 255 alone is object 1; a ring of 255 around objects is void.

    Raises:
        InputError: not such a picture, one that can be read in several ways, or no object in it.
    """
    labels = read_mask_picture(path)
    ids = np.unique(labels[labels > 0]).tolist()
    if not ids:
        raise InputError(f"mask {str(path)!r} holds no object: every pixel is 0 or void")
    return [Prompt(0, object_id, mask=labels == object_id) for object_id in ids]


def parse_box(text: str) -> Prompt:
    """A prompt for frame 0 from `id:x1,y1,x2,y2`."""
    try:
        head, _, tail = text.partition(":")
        object_id, sides = int(head), [float(side) for side in tail.split(",")]
    except ValueError:
        object_id, sides = 0, []
    if len(sides) != 4 or not 1 <= object_id <= MAX_OBJECT_ID or not np.isfinite(sides).all():
        raise InputError(
            f"--box {text!r}: expected id:x1,y1,x2,y2 in pixels with an id from 1 to {MAX_OBJECT_ID}, as 1:20,30,120,90"
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
        sha.update(f"{prompt.frame_index} {prompt.object_id} {prompt.label!r} {prompt.choice}\n".encode())
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
    if value > MAX_OBJECT_ID:
        raise InputError(f"{where}: expected {key!r} to be at most {MAX_OBJECT_ID} (2^53 - 1), got {value}")
    return value


def _prompt(entry: Any, where: str, folder: Path) -> Prompt:
    _only_known(entry, _PROMPT_KEYS, where)
    frame, object_id = _whole(entry, "frame", 0, where), _whole(entry, "object", 1, where)
    label = entry.get("label")
    if label is not None and not isinstance(label, str):
        raise InputError(f"{where}: expected 'label' to be a text, got {label!r}")
    if label is not None and not _is_text(label):
        raise InputError(f"{where}: expected 'label' to be Unicode text, got {label!r} (half of a character pair)")
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
        parts["mask"] = read_mask_picture(folder / entry["mask"]) > 0
    choice = _whole(entry, "choice", 0, where) if "choice" in entry else 0
    try:
        return Prompt(frame, object_id, label=label, choice=choice, **parts)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _removal(entry: Any, where: str, prompts: Sequence[Prompt]) -> Removal:
    _only_known(entry, _REMOVAL_KEYS, where)
    removal = Removal(_whole(entry, "frame", 0, where), _whole(entry, "object", 1, where))
    frames = [prompt.frame_index for prompt in prompts if prompt.object_id == removal.object_id]
    if not frames or min(frames) > removal.frame_index:
        raise InputError(
            f"{where}: no prompt up to frame {removal.frame_index} names object {removal.object_id}, "
            "so it cannot be removed there"
        )
    if min(frames) == removal.frame_index:
        raise InputError(
            f"{where}: object {removal.object_id} is first pointed at in frame {removal.frame_index}, the one in which "
            f"it is removed; remove it from frame {removal.frame_index + 1} on, or leave both out"
        )
    return removal


def _numbers(value: Any, shape: tuple[int | None, ...], wanted: str, where: str) -> np.ndarray:
    try:
        array = np.array(value, np.float32)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(())
    fits = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits or not np.isfinite(array).all():
        raise InputError(f"{where}: expected {wanted} with finite numbers, got {value!r}")
    return array


def _is_text(label: str) -> bool:
    """Whether every store can hold it: JSON may carry half of a surrogate pair."""
    try:
        label.encode()
    except UnicodeEncodeError:
        return False
    return True
