"""Folders and patterns of images, in natural order, as a video at a nominal rate.

How pictures become (H, W, 3) uint8 RGB: grey is repeated in the three channels; of 16 bits the upper 8 stay;
a palette gives its colours; alpha is dropped and the colour under it kept; 1 bit becomes 0 and 255; CMYK,
YCbCr and Lab are converted; the orientation is applied (see `streamvos.video.orientation`). Float pictures have
no known range and are refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.info import Source, SourceConfig, SourceInfo, expect_few_pixels
from streamvos.video.names import IMAGE_SUFFIXES, images_matching, is_image, natural_sorted, printable, safe_name
from streamvos.video.orientation import upright, upright_size
from streamvos.video.prefetch import Prefetch
from streamvos.video.rates import parse_rate

_log = logging.getLogger(__name__)
_WEBP_SIDE = 16_383  # pixels; a damaged header can speak of 16 million, and decoding of gigabytes
# Formats of which one file may be a film. Of the others that hold several pictures (a phone's MPO) the rest is
# thumbnails and depth.
FILM_FORMATS = ("WEBP", "TIFF", "PNG", "GIF")


class ImageSequence(Source):
    """Images of one size, in the order given.

    Args:
        paths: the images.
        name: of the source.
        location: folder or pattern, for messages.
        start_index, max_frames: first index, and the index at which to stop.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        name: str,
        location: str,
        config: SourceConfig,
        stream_id: str | None = None,
        start_index: int = 0,
        max_frames: int | None = None,
    ) -> None:
        self._paths = list(paths)[:max_frames]
        height, width = expect_one_size(self._paths)
        expect_few_pixels(str(self._paths[0]), width, height, config)
        rate = parse_rate(config.image_rate)
        count = len(self._paths)
        super().__init__(
            SourceInfo(
                name, "images", printable(location), width, height, rate, count, float(count / rate), False, 1 / rate
            )
        )
        self._stream_id, self._start, self._config = stream_id or name, start_index, config
        self._frames = Prefetch(self._read, config.prefetch_frames)

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        self._frames.close()

    def _read(self) -> Iterator[Frame]:
        num_stacks = 0
        for index in range(self._start, len(self._paths)):
            with opened(self._paths[index]) as picture:
                expect_few_pixels(str(self._paths[index]), *picture.size, self._config)  # it may be another one by now
                num_stacks += num_pictures(picture) > 1
                image = to_rgb(self._paths[index], picture)
            if image.shape[:2] != (self.info.height, self.info.width):
                raise InputError(f"image {str(self._paths[index])!r} is not of the size that its header says")
            yield Frame(self._stream_id, index, float(Fraction(index) * self.info.time_base), image)
        if num_stacks:
            text = f"{self.info.name}: {num_stacks} of the files hold several pictures; the first of each was read"
            self.warnings.append(text)
            _log.warning(text)


def find_images(spec: str) -> tuple[list[Path], str]:
    """The images of a folder or a pattern in natural order, and a name; raises `InputError` for none."""
    folder = Path(spec)
    if folder.is_dir():
        paths = natural_sorted(path for path in folder.iterdir() if is_image(path))
        name = safe_name(folder.resolve().name)
        if not paths:
            suffixes = " ".join(IMAGE_SUFFIXES)
            raise InputError(f"folder {spec!r} holds no images; expected files that end in {suffixes}")
    else:
        paths = images_matching(spec)
        name = safe_name(Path(spec).parent.name or "images")
        if not paths:
            raise InputError(f"no image matches the pattern {spec!r}")
    return paths, name


def read_image(path: Path) -> np.ndarray:
    """Read one image as (H, W, 3) uint8 RGB, by the rules above; raises `InputError`."""
    with opened(path) as image:
        return to_rgb(path, image)


def to_rgb(path: Path, image: Image.Image) -> np.ndarray:
    """An open image as (H, W, 3) uint8 RGB, by the rules above; raises `InputError`.

    Args:
        path: of the file, for messages.
        image: opened from it; of several pictures the one that is chosen.
    """
    try:
        image = upright(image)
        if image.mode == "F":
            raise InputError(f"image {str(path)!r} holds floats of unknown range; expected 8 or 16 bits")
        if image.mode.startswith("I"):  # 16 bits of grey; Pillow opens some as 32
            values = np.asarray(image)
            if values.size and (values.min() < 0 or values.max() > 65535):
                raise InputError(f"image {str(path)!r} has more than 16 bits; expected 8 or 16")
            return np.repeat((values.astype(np.int64) >> 8).astype(np.uint8)[..., None], 3, axis=2)
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")
        return np.array(image.convert("RGB"))
    except InputError:
        raise
    except Exception as error:  # Pillow answers damage with whatever its parsers stumble over
        raise InputError(f"image {str(path)!r} is damaged ({_in_words(error)})") from None


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) of the upright picture, from the header alone where that is enough."""
    with opened(path) as image:
        try:
            return upright_size(path, image)
        except Exception as error:
            raise InputError(f"image {str(path)!r} is damaged ({_in_words(error)})") from None


def num_pictures(image: Image.Image) -> int:
    """How many pictures an open file holds that belong to a film; 1 for formats that hold none."""
    if image.format not in FILM_FORMATS:
        return 1
    try:
        return getattr(image, "n_frames", 1)
    except Exception:  # a damaged page behind the first
        return 1


def expect_one_size(paths: Sequence[Path]) -> tuple[int, int]:
    """(H, W) of all images; raises `InputError` that names two whose sizes differ."""
    first = image_size(paths[0])
    for path in paths:
        size = image_size(path)
        if size != first:
            raise InputError(
                f"images differ in size: {str(paths[0])!r} is {first[1]}x{first[0]}, {str(path)!r} is "
                f"{size[1]}x{size[0]} (width x height); give the pictures of one video, all of one size"
            )
    return first


def opened(path: Path) -> Image.Image:
    """An image file, its header read; to be used in a `with` block. Raises `InputError`."""
    try:
        image = Image.open(path)
        if image.format == "WEBP" and max(image.size) > _WEBP_SIDE:
            raise SyntaxError(f"a header that speaks of {image.width}x{image.height} pixels")
        return image
    except FileNotFoundError:
        raise InputError(f"image {str(path)!r} does not exist") from None
    except Exception as error:
        raise InputError(f"{str(path)!r} is not an image that can be read ({_in_words(error)})") from None


def _in_words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
