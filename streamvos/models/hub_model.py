"""Models of `transformers` out of the catalogue's folders (`config.json`, `model.safetensors`), never from a hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from streamvos.errors import IntegrityError

PREPROCESSING_FILE = "preprocessor_config.json"


@dataclass(frozen=True)
class Preprocessing:
    """What a model's pictures must look like.

    Args:
        size: (H, W) pixels that every picture is squeezed to.
        mean, spread: of RGB in [0, 1], three each.
    """

    size: tuple[int, int]
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    spread: tuple[float, ...] = (1.0, 1.0, 1.0)

    @classmethod
    def from_folder(cls, folder: Path) -> Preprocessing:
        """As the model's `preprocessor_config.json` tells it; raises `IntegrityError` where it does not."""
        told = _read_json(folder, PREPROCESSING_FILE)
        try:
            size = int(told["size"]["height"]), int(told["size"]["width"])
            if min(size) < 1:
                raise ValueError(f"size {size}")
            if not told.get("do_normalize", True):
                return cls(size)
            mean, spread = (tuple(map(float, told[key])) for key in ("image_mean", "image_std"))
            if len(mean) != 3 or len(spread) != 3 or min(spread) <= 0:
                raise ValueError(f"mean {mean}, standard deviation {spread}")
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"weights in {folder}: {PREPROCESSING_FILE} must tell height and width, mean and standard deviation "
                f"({error!r})"
            ) from None
        return cls(size, mean, spread)

    def apply(self, image: np.ndarray, device: torch.device) -> torch.Tensor:
        """(H, W, 3) uint8 RGB to (1, 3, h, w) float32."""
        picture = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None].float()
        picture = functional.interpolate(picture, self.size, mode="bilinear", align_corners=False, antialias=True)
        picture = picture.round_().clamp_(0, 255).div_(255.0)  # resized as uint8 by the processors
        mean, spread = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (self.mean, self.spread))
        return picture.sub_(mean).div_(spread)


def load_hub_model(kind: type[torch.nn.Module], folder: Path, device: torch.device) -> Any:
    """A model ready for inference; every weight of it must be in the file.

    Raises:
        IntegrityError: the files are damaged, or belong to another model.
    """
    expected = kind.config_class.model_type
    found = _read_json(folder, "config.json").get("model_type")
    if found != expected:
        raise IntegrityError(f"weights in {folder}: expected a model of type {expected!r}, config.json says {found!r}")
    try:
        with _without_progress_bar():
            model, report = kind.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
    except Exception as error:  # what safetensors and transformers raise differs from version to version
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise IntegrityError(f"weights in {folder} cannot be read: {reason}") from None
    problems = {name: sorted(map(str, report[f"{name}_keys"])) for name in ("missing", "mismatched")}
    told = [f"{len(keys)} {name} (first: {keys[0]})" for name, keys in problems.items() if keys]
    if told:
        raise IntegrityError(f"weights in {folder} do not fit {expected}: keys {', '.join(told)}")
    return model.to(device).eval()


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads((folder / name).read_text(encoding="utf-8"))
        return dict(value)
    except (OSError, ValueError, TypeError) as error:
        raise IntegrityError(f"weights in {folder}: {name} cannot be read ({error})") from None


@contextmanager
def _without_progress_bar() -> Iterator[None]:
    from transformers.utils import logging

    was_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_shown:
            logging.enable_progress_bar()
