"""From what a user types to a source of frames.

A camera index, `sample:NAME`, an `rtsp(s)://` or `http(s)://` URL, a video file, an RGB-D folder, a folder of
images, one image or a file of several, or a pattern such as `shots/*.png` or `shots/frame%d.png`. What exists as a
file or folder is that, whatever its name looks like.
"""

from __future__ import annotations

import logging
import time
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from streamvos.errors import InputError
from streamvos.sample import sample_path
from streamvos.video.connections import AvConnection, connect_camera, connect_url
from streamvos.video.decode import open_container
from streamvos.video.files import VideoFile
from streamvos.video.images import ImageSequence, find_images, num_pictures, opened
from streamvos.video.info import Source, SourceConfig, SourceInfo
from streamvos.video.live import TIME_BASE, LiveSource
from streamvos.video.names import IMAGE_SUFFIXES, is_pattern, printable, safe_name
from streamvos.video.rgbd import RgbdFolder, layout_of
from streamvos.video.stacks import ImageStack
from streamvos.video.urls import PROTOCOLS, expand_environment, mask_secrets, name_of, scheme_of

_log = logging.getLogger(__name__)


def open_source(
    spec: str | int | Path,
    *,
    max_frames: int | None = None,
    stream_id: str | None = None,
    start_index: int = 0,
    start_time_s: float = 0.0,
    config: SourceConfig | None = None,
) -> Source:
    """Open a source of frames.

    Args:
        spec: see above. A text of digits is a camera unless there is such a file or folder; a number always is one.
            `${NAME}` in a URL is taken from the environment.
        max_frames: frames of index `max_frames` and above are not delivered.
        stream_id: name that the frames carry; the source's own name by default.
        start_index: where a run goes on: index and time of the frames are those of a full run. A live source
            cannot go back; its first frame gets this index.
        start_time_s: time of a live source's first frame; others ignore it.
        config: settings of the readers.

    Returns:
        An iterator of `Frame`, to be used in a `with` block.

    Raises:
        InputError: nothing readable is there; says what was expected.
    """
    config = config or SourceConfig()
    if max_frames is not None and max_frames < 1:
        raise InputError(f"max_frames: expected at least 1, got {max_frames}")
    if start_index < 0:
        raise InputError(f"start_index: expected at least 0, got {start_index}")
    part = {"stream_id": stream_id, "start_index": start_index, "max_frames": max_frames}
    text = str(spec).strip()
    if isinstance(spec, int):
        return _camera(spec, config, part, start_time_s)
    if text.startswith("sample:"):
        return VideoFile(str(sample_path(text.removeprefix("sample:"))), None, config, **part)
    if text.partition("://")[0].lower() not in PROTOCOLS and _exists(spec):
        return _path(spec, config, part)
    if text.isascii() and text.isdigit():
        return _camera(int(text), config, part, start_time_s)
    if isinstance(spec, str) and (scheme := scheme_of(text)):
        return _url(expand_environment(text), scheme, config, part, start_time_s)
    return _path(spec, config, part)


def _exists(spec: str | Path) -> bool:
    try:
        return Path(spec).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long a name, no such user, a zero byte
        return False


def _path(spec: str | Path, config: SourceConfig, part: dict[str, Any]) -> Source:
    try:
        path = Path(spec).expanduser()
        path.lstat()  # also where a zero byte is in it
    except FileNotFoundError:
        pass
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"source {printable(str(spec))!r} cannot be a file or folder ({why})") from None
    if path.is_dir() and layout_of(path):
        return RgbdFolder(path, config, **part)
    if path.is_dir() or not path.exists() and is_pattern(str(path)):
        paths, name = find_images(str(path))
        return ImageSequence(paths, name, str(path), config, **part)
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        return _image(path, config, part)
    return VideoFile(str(path.absolute()), None, config, **part)


def _image(path: Path, config: SourceConfig, part: dict[str, Any]) -> Source:
    """One picture, or a film in a picture's file."""
    with opened(path) as image:
        is_film, is_stack = num_pictures(image) > 1, image.format in ("WEBP", "TIFF")
    if is_film and is_stack:
        return ImageStack(path, config, **part)
    if is_film:
        return VideoFile(str(path.absolute()), None, config, **part)
    return ImageSequence([path], safe_name(path.stem), str(path), config, **part)


def _url(url: str, scheme: str, config: SourceConfig, part: dict[str, Any], start_time_s: float) -> Source:
    masked = mask_secrets(url)
    _log.info("opening %s", masked)
    began_s = time.monotonic()
    container = open_container(url, scheme, config)
    if scheme in ("http", "https") and container.duration is not None and container.duration > 0:
        container.close()
        return VideoFile(url, scheme, config, **part)
    first = AvConnection(container, masked, config)

    def describe(size: tuple[int, int], rate: Fraction | None) -> SourceInfo:
        return SourceInfo(name_of(url), "stream", masked, size[1], size[0], rate, None, None, True, TIME_BASE)

    connect = partial(connect_url, url, scheme, masked, config)
    return LiveSource(connect, describe, config, start_time_s=start_time_s, first=first, began_s=began_s, **part)


def _camera(index: int, config: SourceConfig, part: dict[str, Any], start_time_s: float) -> Source:
    def describe(size: tuple[int, int], rate: Fraction | None) -> SourceInfo:
        name = f"camera{index}"
        return SourceInfo(name, "camera", f"camera {index}", size[1], size[0], rate, None, None, True, TIME_BASE)

    return LiveSource(partial(connect_camera, index, config), describe, config, start_time_s=start_time_s, **part)
