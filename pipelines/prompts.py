"""The user's words about objects: read from files and options, and handed to the stream at their frame."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from streamvos.errors import InputError, unknown_name
from streamvos.records import Naming, ObjectMasks, Prompt, Removal

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


def check_prompts(prompts: Iterable[Prompt], size: tuple[int, int], num_frames: int | None = None) -> None:
    """Raise `InputError` where a prompt does not fit frames of `size` (H, W), or speaks of one after the last."""
    height, width = size
    for prompt in prompts:
        who = f"prompt for object {prompt.object_id} at frame {prompt.frame_index}"
        if prompt.mask is not None and prompt.mask.shape != size:
            have = f"{prompt.mask.shape[1]}x{prompt.mask.shape[0]}"
            raise InputError(f"{who}: expected a mask of the frame's size, {width}x{height}; got {have}")
        if prompt.mask is not None and not prompt.mask.any():
            raise InputError(f"{who}: the mask is empty; expected at least one pixel")
        if prompt.box is not None:
            x1, y1, x2, y2 = prompt.box.tolist()
            if min(x2, width) - max(x1, 0) < 1 or min(y2, height) - max(y1, 0) < 1:
                raise InputError(f"{who}: the box {prompt.box.tolist()} lies outside the frame of {width}x{height}")
        if prompt.points is not None:
            inside = (prompt.points >= 0).all(axis=1) & (prompt.points < (width, height)).all(axis=1)
            if not inside.all():
                raise InputError(
                    f"{who}: the point {prompt.points[~inside][0].tolist()} lies outside the frame of {width}x{height}"
                )
        if num_frames is not None and prompt.frame_index >= num_frames:
            raise InputError(f"{who}: the source has {num_frames} frames, from 0 to {num_frames - 1}")


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


class Schedule:
    """Prompts, removals and names on their way to their frame. May be used from several threads.

    Attributes:
        next_index: index of the frame that is sent next; nothing takes effect before it.
    """

    def __init__(self) -> None:
        self.next_index = 0
        self._prompts: dict[int, list[Prompt]] = {}
        self._removals: dict[int, list[Removal]] = {}
        self._namings: dict[int, list[Naming]] = {}
        self._prompted: set[int] = set()
        self._followed: frozenset[int] = frozenset()
        self._lock = threading.Lock()

    @property
    def is_empty(self) -> bool:
        """True where the user has pointed at nothing that is still followed, or will be."""
        return not self._prompted

    @property
    def waiting(self) -> list[Prompt]:
        """Prompts whose frame has not come."""
        with self._lock:
            return [prompt for _, prompts in sorted(self._prompts.items()) for prompt in prompts]

    def add(self, prompt: Prompt) -> None:
        """Let a prompt take effect at its frame."""
        with self._lock:
            self._expect_future(prompt.frame_index, f"prompt for object {prompt.object_id}")
            self._prompts.setdefault(prompt.frame_index, []).append(prompt)
            self._prompted.add(prompt.object_id)

    def remove(self, object_id: int, frame_index: int | None = None) -> None:
        """Let a removal take effect at a frame, the next one by default."""
        with self._lock:
            index = self.next_index if frame_index is None else frame_index
            self._expect_future(index, f"removal of object {object_id}")
            self._expect_followed(object_id, "removed")
            self._removals.setdefault(index, []).append(Removal(index, object_id))
            if not any(prompt.object_id == object_id for waiting in self._prompts.values() for prompt in waiting):
                self._prompted.discard(object_id)

    def name(self, object_id: int, label: str) -> None:
        """Let a name take effect at the next frame."""
        if not label.strip():
            raise InputError(f"object {object_id}: expected a name, got an empty text")
        with self._lock:
            self._expect_followed(object_id, "named")
            self._namings.setdefault(self.next_index, []).append(Naming(self.next_index, object_id, label))

    def take(self, frame_index: int) -> tuple[tuple[Prompt, ...], tuple[Removal, ...], tuple[Naming, ...]]:
        """What takes effect at this frame, which is the next one."""
        with self._lock:
            self.next_index = frame_index + 1
            waiting = self._prompts, self._removals, self._namings
            return tuple(tuple(words.pop(frame_index, ())) for words in waiting)

    def restart(self, next_index: int) -> None:
        """Go on at a frame: what took effect before it is in the stages' snapshot."""
        with self._lock:
            self.next_index = next_index
            for waiting in (self._prompts, self._removals, self._namings):
                for index in [index for index in waiting if index < next_index]:
                    del waiting[index]

    def note(self, masks: ObjectMasks | None) -> None:
        """Learn from a result who is followed now."""
        if masks is not None:
            self._followed = frozenset(masks.object_ids.tolist())

    def _expect_followed(self, object_id: int, what: str) -> None:
        known = self._prompted | self._followed
        if object_id not in known:
            have = ", ".join(map(str, sorted(known))) or "none"
            raise InputError(f"object {object_id} is not followed and cannot be {what} (followed: {have})")

    def _expect_future(self, frame_index: int, what: str) -> None:
        if frame_index < self.next_index:
            raise InputError(f"{what} at frame {frame_index}: that frame is past, the next one is {self.next_index}")


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
