"""`--point` and `--box`: what a user points at in the first frame."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from streamvos.errors import InputError
from streamvos.records import CHOICES, Prompt

_SIGNS = ("+", "-", *(str(number) for number in range(1, CHOICES + 1)))


class _Click(NamedTuple):
    x: float
    y: float
    is_on: bool
    choice: int


def pointed_at(boxes: Sequence[Prompt], points: Sequence[str]) -> list[Prompt]:
    """Prompts for frame 0: points of one id are one prompt, together with its box where there is one.

    Args:
        boxes: prompts with a box each.
        points: `id:x,y` on the object, `id:x,y,-` off it, `id:x,y,2` for the second thing that a single click may mean.

    Raises:
        InputError: a text of another form, or an object with points off it alone.
    """
    clicks: dict[int, list[_Click]] = {}
    for text in points:
        object_id, click = _parse(text)
        clicks.setdefault(object_id, []).append(click)
    prompts = []
    for prompt in boxes:
        more = clicks.pop(prompt.object_id, None)
        prompts.append(prompt if more is None else dataclasses.replace(prompt, **_fields(prompt.object_id, more, True)))
    for object_id, given in clicks.items():
        if not any(click.is_on for click in given):
            raise InputError(f"--point {object_id}: expected at least one point on the object, {object_id}:x,y")
        prompts.append(Prompt(0, object_id, **_fields(object_id, given, False)))
    return prompts


def _fields(object_id: int, clicks: list[_Click], has_box: bool) -> dict[str, Any]:
    choice = max(click.choice for click in clicks)
    if choice and (has_box or len(clicks) > 1):
        raise InputError(
            f"--point {object_id}:x,y,{choice + 1}: only a single point without a box leaves a choice; leave the "
            f"{choice + 1} out"
        )
    points, labels = [(click.x, click.y) for click in clicks], [click.is_on for click in clicks]
    return {"points": points, "labels": labels, "choice": choice}


def _parse(text: str) -> tuple[int, _Click]:
    number, _, place = text.partition(":")
    words = [word.strip() for word in place.split(",")]
    sign = words.pop() if len(words) == 3 else "+"
    try:
        object_id, x, y = int(number), *(float(word) for word in words)
        if sign in _SIGNS and math.isfinite(x) and math.isfinite(y) and object_id >= 1:
            return object_id, _Click(x, y, sign != "-", int(sign) - 1 if sign.isdigit() else 0)
    except ValueError:
        pass
    raise InputError(
        f"--point {text!r}: expected id:x,y with an id of at least 1, such as 1:120,80; id:x,y,- for a point that is "
        f"not on the object, or id:x,y,2 (up to {CHOICES}) for the second thing that a single click may mean"
    )
