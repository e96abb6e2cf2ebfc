"""Folders and globs of images, in natural order, as a video at a nominal rate.

How pictures become (H, W, 3) uint8 RGB: grey is repeated in the three channels; of 16 bits the upper 8 stay;
a palette gives its colours; alpha is dropped and the colour under it kept; 1 bit becomes 0 and 255; CMYK,
YCbCr and Lab are converted; the EXIF orientation is applied. Float pictures have no known range and are
refused.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.info import Source, SourceConfig, SourceInfo, parse_rate, safe_name
from streamvos.video.prefetch import Prefetch

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm")


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
        rate = parse_rate(config.image_rate)
        count = len(self._paths)
        super().__init__(
            SourceInfo(name, "images", location, width, height, rate, count, float(count / rate), False, 1 / rate)
        )
        self._stream_id, self._start = stream_id or name, start_index
        self._frames = Prefetch(self._read, config.prefetch_frames)

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        self._frames.close()

    def _read(self) -> Iterator[Frame]:
        for index in range(self._start, len(self._paths)):
            image = read_image(self._paths[index])
            if image.shape[:2] != (self.info.height, self.info.width):
                raise InputError(f"image {str(self._paths[index])!r} is not of the size that its header says")
            yield Frame(self._stream_id, index, float(Fraction(index) * self.info.time_base), image)


def find_images(spec: str) -> tuple[list[Path], str]:
    """The images of a folder or a glob in natural order, and a name; raises `InputError` for none."""
    folder = Path(spec)
    if folder.is_dir():
        paths = [path for path in folder.iterdir() if _is_image(path)]
        name = safe_name(folder.resolve().name)
        if not paths:
            suffixes = " ".join(IMAGE_SUFFIXES)
            raise InputError(f"folder {spec!r} holds no images; expected files that end in {suffixes}")
    else:
        paths = [Path(path) for path in glob.glob(spec, recursive=True) if _is_image(Path(path))]
        name = safe_name(Path(spec).parent.name or "images")
        if not paths:
            raise InputError(f"no image matches the pattern {spec!r}")
    return sorted(paths, key=natural_key), name


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts frame2 before frame10."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts if part]


def read_image(path: Path) -> np.ndarray:
    """Read one image as (H, W, 3) uint8 RGB, by the rules above; raises `InputError`."""
    with _opened(path) as image:
        try:
            image = ImageOps.exif_transpose(image)
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
        except (OSError, SyntaxError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"image {str(path)!r} is damaged ({error})") from None


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) after EXIF orientation, from the header alone."""
    with _opened(path) as image:
        has_exif = image.format != "PNG" or "exif" in image.info  # asking a PNG for EXIF decodes all of it
        turned = has_exif and image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


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


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except FileNotFoundError:
        raise InputError(f"image {str(path)!r} does not exist") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise InputError(f"{str(path)!r} is not an image that can be read ({error})") from None
