"""Films in one picture file: animated WebP, with its own times, and TIFF of several pages, at a nominal rate.

FFmpeg, which reads other animations (GIF, APNG), reads the first page of a TIFF and nothing of an animated WebP.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from PIL import Image

from streamvos.errors import InputError
from streamvos.records import Frame
from streamvos.video.images import opened, to_rgb
from streamvos.video.info import Source, SourceConfig, SourceInfo, expect_few_pixels
from streamvos.video.names import printable, safe_name
from streamvos.video.prefetch import Prefetch
from streamvos.video.rates import parse_rate

_MILLISECOND = Fraction(1, 1000)
_SHORTEST_MS = 11  # browsers show a picture of 10 ms or less for 100
_BROWSER_MS = 100
_NEW_SUBFILE_TYPE = 254  # TIFF 6.0: bit 0 marks a smaller copy of another page, bit 2 a mask of one
_NO_PAGE = 0b101


class ImageStack(Source):
    """The pictures of one file, in order.

    Args:
        path: an animated WebP or a TIFF.
        start_index, max_frames: first index, and the index at which to stop.
    """

    def __init__(
        self,
        path: Path,
        config: SourceConfig,
        stream_id: str | None = None,
        start_index: int = 0,
        max_frames: int | None = None,
    ) -> None:
        name = safe_name(path.stem)
        with opened(path) as image:
            is_webp = image.format == "WEBP"
            size, pages, num_other = _pages(path, image)
        expect_few_pixels(printable(str(path)), size[1], size[0], config)
        if is_webp:
            durations = _webp_durations_ms(path)[: len(pages)]
            durations += [_BROWSER_MS] * (len(pages) - len(durations))
            time_base, total = _MILLISECOND, sum(durations)
            ticks = [0, *itertools.accumulate(durations)][: len(pages)]
            rate = Fraction(1000 * len(pages), total).limit_denominator(1001)
        else:
            rate = parse_rate(config.image_rate)
            time_base, ticks, total = 1 / rate, list(range(len(pages))), len(pages)
        self._path, self._pages = path, pages[:max_frames]
        self._times = [float(tick * time_base) for tick in ticks]
        super().__init__(
            SourceInfo(
                name,
                "images",
                printable(str(path)),
                size[1],
                size[0],
                rate,
                len(self._pages),
                float(total * time_base),
                False,
                time_base,
            )
        )
        if num_other:
            self.warnings.append(f"{name}: {num_other} pages are of another size, or copies, and are left out")
        self._stream_id, self._start = stream_id or name, start_index
        self._frames = Prefetch(self._read, config.prefetch_frames)

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        self._frames.close()

    def _read(self) -> Iterator[Frame]:
        with opened(self._path) as image:
            for index in range(self._start, len(self._pages)):
                _seek(self._path, image, self._pages[index])
                yield Frame(self._stream_id, index, self._times[index], to_rgb(self._path, image))


def _pages(path: Path, image: Image.Image) -> tuple[tuple[int, int], list[int], int]:
    """(H, W) of the first picture upright, the pages that belong to the film, and how many do not."""
    pages, sizes = [], {}
    for page in range(image.n_frames):
        _seek(path, image, page)
        kind = image.tag_v2.get(_NEW_SUBFILE_TYPE, 0) if image.format == "TIFF" else 0
        if not kind & _NO_PAGE:
            pages.append(page)
            sizes[page] = image.size
    if not pages:
        raise InputError(f"image {str(path)!r} holds no page that is a picture of its own")
    first = pages[0]
    kept = [page for page in pages if sizes[page] == sizes[first]]
    _seek(path, image, first)
    height, width = to_rgb(path, image).shape[:2]
    return (height, width), kept, image.n_frames - len(kept)


def _seek(path: Path, image: Image.Image, page: int) -> None:
    try:
        image.seek(page)
    except Exception as error:
        raise InputError(f"image {str(path)!r} is damaged at picture {page} ({error})") from None


def _webp_durations_ms(path: Path) -> list[int]:
    """How long each picture is shown: the ANMF chunks of the WebP container specification."""
    found, at = [], 12  # behind RIFF, its length and WEBP
    with path.open("rb") as file:
        file.seek(at)
        while len(head := file.read(8)) == 8:
            kind, length = struct.unpack("<4sI", head)
            if kind == b"ANMF":
                shown = int.from_bytes(file.read(16)[12:15], "little")
                found.append(shown if shown >= _SHORTEST_MS else _BROWSER_MS)
            at += 8 + length + length % 2
            file.seek(at)
    return found
