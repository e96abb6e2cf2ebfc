"""`--point` and `--box`: what a user points at in the first frame."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from streamvos.errors import InputError
from streamvos.records import Prompt


def pointed_at(boxes: Sequence[Prompt], points: Sequence[str]) -> list[Prompt]:
    """Prompts for frame 0: points of one id are one prompt, together with its box where there is one.

    Args:
        boxes: prompts with a box each.
        points: `id:x,y` on the object, `id:x,y,-` off it.

    Raises:
        InputError: a text of another form, or an object with points off it alone.
    """
    clicks: dict[int, list[tuple[float, float, bool]]] = {}
    for text in points:
        object_id, click = _parse(text)
        clicks.setdefault(object_id, []).append(click)
    prompts = []
    for prompt in boxes:
        more = clicks.pop(prompt.object_id, None)
        prompts.append(prompt if more is None else dataclasses.replace(prompt, **_arrays(more)))
    for object_id, given in clicks.items():
        if not any(is_on for _, _, is_on in given):
            raise InputError(f"--point {object_id}: expected at least one point on the object, {object_id}:x,y")
        prompts.append(Prompt(0, object_id, **_arrays(given)))
    return prompts


def _arrays(clicks: list[tuple[float, float, bool]]) -> dict[str, list]:
    return {"points": [(x, y) for x, y, _ in clicks], "labels": [is_on for _, _, is_on in clicks]}


def _parse(text: str) -> tuple[int, tuple[float, float, bool]]:
    number, _, place = text.partition(":")
    words = [word.strip() for word in place.split(",")]
    sign = words.pop() if len(words) == 3 else "+"
    try:
        object_id, x, y = int(number), *(float(word) for word in words)
        if sign in ("+", "-") and math.isfinite(x) and math.isfinite(y) and object_id >= 1:
            return object_id, (x, y, sign == "+")
    except ValueError:
        pass
    raise InputError(
        f"--point {text!r}: expected id:x,y with an id of at least 1, such as 1:120,80; or id:x,y,- for a point "
        "that is not on the object"
    )
