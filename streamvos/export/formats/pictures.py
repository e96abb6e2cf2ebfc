"""The pictures of the video beside its annotations: read from the source again, as JPEG files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from streamvos.config import merge
from streamvos.errors import InputError, IntegrityError
from streamvos.export.formats.recorded import RecordedFrame, RecordedRun
from streamvos.export.formats.registry import picture_name
from streamvos.video.info import SourceConfig
from streamvos.video.sources import open_source
from streamvos.video.span import Span, SpanSource

_QUALITY = 95
_MAX_DIFFERENCE_S = 1e-3  # of the times in tracks.json, which have six decimals, and those of the video read again


class Pictures:
    """Writes the picture of each frame that goes by.

    Args:
        run: of a file or folder that is still where it was.
        folder: made, with its parents.

    Raises:
        InputError: the source is a stream or a camera, or not there any more.
    """

    def __init__(self, run: RecordedRun, folder: Path) -> None:
        source = run.report["source"]
        location = Path(run.report.get("given", {}).get("location") or source["location"])  # that one is absolute
        if source["kind"] not in ("video", "images", "rgbd") or not (location.exists() or _is_pattern(location)):
            raise InputError(
                f"pictures: expected the source of the run, {source['location']!r}, to be a file or folder that is "
                "still there; leave out images=True, or put it back"
            )
        self._run, self._folder, self._location = run, folder, location

    def along(self, frames: Iterable[RecordedFrame]) -> Iterator[RecordedFrame]:
        """The same frames; each one's picture is written when it goes by.

        Raises:
            IntegrityError: the source has changed since the run.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        given = self._run.report.get("given", {})
        config = merge(SourceConfig(), self._run.report["config"].get("source", {}), "source.")
        span = Span(given.get("start_s"), given.get("end_s"), given.get("fps"))
        with SpanSource(open_source(self._location, config=config), span) as source:
            for frame in frames:
                picture = next((one for one in source if one.index >= frame.index), None)
                same = picture is not None and picture.index == frame.index
                if not same or abs(picture.time_s - frame.time_s) > _MAX_DIFFERENCE_S:
                    raise IntegrityError(
                        f"pictures: {str(self._location)!r} has no frame {frame.index} at {frame.time_s} s any more: "
                        "it changed since the run; leave out images=True"
                    )
                path = self._folder / picture_name(frame.index)
                Image.fromarray(picture.image).save(path, quality=_QUALITY)
                yield frame


def _is_pattern(path: Path) -> bool:
    return bool(re.search(r"[*?\[]", path.name)) and path.parent.is_dir()
