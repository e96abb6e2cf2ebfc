"""A small picture of each source that a page may open by a click: the sample clips and the listed streams.

Made once for all pages, in a thread of its own: a stream may take its time to answer, or never do so. Nothing but what
the configuration and the package name is ever opened here.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from typing import Any

import cv2
import numpy as np

from apps.live.history import encode_jpeg
from streamvos.errors import InputError
from streamvos.sample import SAMPLES
from streamvos.video.info import SourceConfig
from streamvos.video.sources import open_source

_log = logging.getLogger(__name__)
_WIDTH_PX, _ASPECT = 288, 16 / 9
_WHERE = 0.48  # of a clip: the first frames of films show little
_AGAIN_AFTER_S = 600.0  # streams change, and those that did not answer may do so later
_TITLES = {"bikes": "A street: bicycles, cars, people", "carphone": "A man talking in a car"}


class Stills:
    """Pictures of sources, at most one of each.

    Args:
        streams: URLs by name.
        config: of the readers.
    """

    def __init__(self, streams: dict[str, str], config: SourceConfig) -> None:
        self.version = 0  # changes with every picture that comes
        self._sources = [("sample", name, f"sample:{name}") for name in SAMPLES]
        self._sources += [("stream", name, url) for name, url in sorted(streams.items())]
        self._config = dataclasses.replace(config, reconnect_attempts=0)
        self._pictures: dict[tuple[str, str], bytes] = {}
        self._made_s: float | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def wanted(self) -> None:
        """A page would like them: make what is missing or old, without waiting for it."""
        with self._lock:
            is_fresh = self._made_s is not None and time.monotonic() - self._made_s < _AGAIN_AFTER_S
            if is_fresh or self._closed.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._made_s = time.monotonic()
            self._thread = threading.Thread(target=self._make, name="stills", daemon=True)
            self._thread.start()

    def rows(self) -> list[dict[str, Any]]:
        """Kind, name, title and JPEG of each source; the JPEG is empty where there is no picture (yet)."""
        return [
            {
                "kind": kind,
                "name": name,
                "title": _TITLES.get(name, name) if kind == "sample" else name,
                "jpeg": self._pictures.get((kind, name), b""),
            }
            for kind, name, _ in self._sources
        ]

    def close(self) -> None:
        """Make no more."""
        self._closed.set()

    def _make(self) -> None:
        for kind, name, spec in self._sources:
            if self._closed.is_set():
                return
            if kind == "sample" and (kind, name) in self._pictures:
                continue
            try:
                jpeg = _still(spec, self._config)
            except InputError as error:
                _log.info("no picture of the %s %r: %s", kind, name, error)
                continue
            except Exception:
                _log.exception("no picture of the %s %r", kind, name)
                continue
            self._pictures[kind, name] = jpeg
            self.version += 1


def _still(spec: str, config: SourceConfig) -> bytes:
    """A frame of a source as a small JPEG; raises `InputError` where it has none."""
    with open_source(spec, config=config) as source:
        num = 0 if source.info.is_live else int(_WHERE * min(source.info.num_frames or 0, 600))
        image = None
        for frame in source:
            image = frame.image
            if frame.index >= num:
                break
    if image is None:
        raise InputError("it has no pictures")
    return encode_jpeg(_cut(image))


def _cut(image: np.ndarray) -> np.ndarray:
    """The middle of a picture, in the shape of the tiles."""
    height, width = image.shape[:2]
    w, h = min(width, round(height * _ASPECT)), min(height, round(width / _ASPECT))
    x, y = (width - w) // 2, (height - h) // 2
    size = _WIDTH_PX, round(_WIDTH_PX / _ASPECT)
    return cv2.resize(image[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA)
