"""Which pictures may be cut from: all, those that no training of ours has seen, or those that trainings learn from.

What a tracker scores on objects that it was trained on says little; and clips for training must not show what is held
out. The line is the trainings' own (`pipelines.training.mask_sources.pictures_apart`), not a second one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from pipelines.training.mask_sources import pictures_apart
from streamvos.errors import InputError

Pictures = Literal["all", "held-out", "training"]
PICTURES: tuple[Pictures, ...] = get_args(Pictures)


def usable(folder: Path, pictures: Pictures) -> Callable[[Path], bool]:
    """Says of a picture's path whether it may be used.

    Args:
        folder: of the cut-outs; one in a layout that no training reads is held out as a whole.
        pictures: "all", "held-out" or "training".

    Raises:
        InputError: pictures for training are wanted of a folder that no training reads.
    """
    if pictures == "all":
        return lambda path: True
    apart = pictures_apart(folder)
    if apart is None:
        if pictures == "training":
            raise InputError(
                f"cut-outs {str(folder)!r}: no training of ours reads this layout, so all of it is held out; leave it "
                "out, or use --pictures all"
            )
        return lambda path: True
    training, held_out = apart
    chosen = training if pictures == "training" else held_out
    return lambda path: path.resolve() in chosen
