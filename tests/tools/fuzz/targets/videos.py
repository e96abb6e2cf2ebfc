"""Videos, made here: MP4, AVI, MKV, TS, Y4M and others, as files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from streamvos.video.sources import open_source
from tests.tools.fuzz.target import Target
from tests.tools.fuzz.targets.images import picture

_KINDS = {  # file: codec, its pixels, options of the container
    "plain.mp4": ("libx264", "yuv420p", {}),
    "fragmented.mp4": ("libx264", "yuv420p", {"movflags": "frag_keyframe+empty_moov"}),
    "plain.avi": ("mpeg4", "yuv420p", {}),
    "jpeg.avi": ("mjpeg", "yuvj420p", {}),
    "plain.mkv": ("libx264", "yuv420p", {}),
    "plain.webm": ("libvpx", "yuv420p", {}),
    "plain.ts": ("mpeg2video", "yuv420p", {}),
    "plain.flv": ("flv1", "yuv420p", {}),
    "plain.y4m": ("wrapped_avframe", "yuv420p", {}),
    "plain.mov": ("prores_ks", "yuv422p10le", {}),
    "plain.h264": ("libx264", "yuv420p", {}),
}
_FRAMES = 8
_MOST_READ = 60


def _make(folder: Path) -> None:
    for name, (codec, pixels, options) in _KINDS.items():
        (folder / name).mkdir()
        _encode(folder / name / name, codec, pixels, options)


def _encode(path: Path, codec: str, pixels: str, options: dict[str, str]) -> None:
    with av.open(
        str(path), "w", format="yuv4mpegpipe" if path.suffix == ".y4m" else None, options=options
    ) as container:
        stream = container.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 32, 24, pixels
        stream.codec_context.thread_count = 1
        if codec == "libx264":
            stream.options = {"g": "4", "preset": "ultrafast"}
        for index in range(_FRAMES):
            frame = av.VideoFrame.from_ndarray(_array(index), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _array(index: int):
    import numpy as np

    return np.asarray(picture(index))


def _read(folder: Path) -> object:
    for path in folder.iterdir():
        with open_source(path, max_frames=_MOST_READ) as source:
            return [(frame.image.shape, frame.time_s) for frame in source], source.warnings
    return None


TARGET = Target("videos", _make, _read)
