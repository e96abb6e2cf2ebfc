"""Pictures as a player shows them: which stream, how it lies, how wide its pixels are."""

import io
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image, ImageCms

from streamvos.errors import InputError
from streamvos.video.display import to_rgb, turn_of
from streamvos.video.info import SourceConfig
from streamvos.video.random_access import RandomAccessVideo
from streamvos.video.sources import open_source

ONE = 1 << 16
MATRICES = {  # a, b, c, d of x' = a x + c y, y' = b x + d y, and where the corners RGBW come to lie
    "as it is": ((ONE, 0, 0, ONE), "RGBW"),
    "clockwise": ((0, ONE, -ONE, 0), "BRWG"),
    "half": ((-ONE, 0, 0, -ONE), "WBGR"),
    "counter-clockwise": ((0, -ONE, ONE, 0), "GWRB"),
    "mirrored": ((-ONE, 0, 0, ONE), "GRWB"),
    "upside down": ((ONE, 0, 0, -ONE), "BWRG"),
    "transposed": ((0, ONE, ONE, 0), "RBGW"),
    "transposed the other way": ((0, -ONE, -ONE, 0), "WGBR"),
}


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("aspect", [None, Fraction(4, 3)], ids=["square", "wide"])
def test_display_matrices(make_numbered, corners, name, aspect):
    matrix, expected = MATRICES[name]
    path = set_matrix(make_numbered("clip.mp4", range(2), aspect=aspect), *matrix)
    with open_source(path) as source:
        frame = next(source)
    assert corners(frame.image) == expected
    width = 96 if aspect is None else 128
    assert frame.size == ((width, 64) if matrix[0] == 0 else (64, width))
    assert frame.size == (source.info.height, source.info.width)
    if name != "as it is" or aspect is not None:
        with pytest.raises(InputError, match="rotated, mirrored or with pixels that are not square"):
            RandomAccessVideo(path)


@pytest.mark.parametrize(
    ("suffix", "aspect", "width"),
    [
        ("mp4", Fraction(4, 3), 128),
        ("mkv", Fraction(8, 9), 85),
        ("ts", Fraction(64, 45), 137),
        ("avi", Fraction(2), 192),
        ("mp4", Fraction(1280, 1281), 96),  # what encoders write who round a size to even numbers
        ("mp4", Fraction(100), 96),  # damage
    ],
    ids=str,
)
def test_pixels_that_are_not_square(make_numbered, number, corners, suffix, aspect, width):
    with open_source(make_numbered(f"clip.{suffix}", range(3), aspect=aspect)) as source:
        frames = list(source)
    assert [frame.size for frame in frames] == [(64, width)] * 3 and source.info.width == width
    assert [number(frame.image) for frame in frames] == [0, 1, 2] and corners(frames[0].image) == "RGBW"
    told = [text for text in source.warnings if f"{width}x64 square ones" in text]
    assert len(told) == (width != 96)


def write_streams(path: Path, picture, streams) -> Path:
    """A file of streams (codec, width, height, frames, disposition)."""
    with av.open(str(path), "w") as container:
        outputs = []
        for codec, width, height, _, disposition in streams:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height = width, height
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            if disposition:
                stream.disposition = disposition
            outputs.append(stream)
        for index in range(12):
            for stream, (_, width, height, count, _) in zip(outputs, streams, strict=True):
                if index < count:
                    frame = av.VideoFrame.from_ndarray(picture(index, width, height), format="rgb24")
                    frame.pts, frame.time_base = index, Fraction(1, 25)
                    container.mux(stream.encode(frame))
        for stream in outputs:
            container.mux(stream.encode())
    return path


COVER = av.stream.Disposition.attached_pic


@pytest.mark.parametrize(
    ("name", "streams", "size", "warned"),
    [
        ("thumb.mkv", [("mjpeg", 128, 96, 1, None), ("libx264", 96, 64, 12, None)], (64, 96), False),
        ("large.mkv", [("mjpeg", 320, 192, 12, None), ("libx264", 96, 64, 12, None)], (64, 96), False),
        ("two.mp4", [("libx264", 96, 64, 12, None), ("libx264", 192, 128, 12, None)], (128, 192), True),
        ("equal.mkv", [("libx264", 96, 64, 12, None), ("libx264", 96, 64, 12, None)], (64, 96), True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_film_among_several_streams(tmp_path, picture, number, name, streams, size, warned):
    with open_source(write_streams(tmp_path / name, picture, streams)) as source:
        frames = list(source)
    assert [number(frame.image) for frame in frames] == list(range(12))
    assert frames[0].size == size
    assert any("holds 2 films" in text for text in source.warnings) == warned


def test_the_cover_of_a_film_is_not_the_film(tmp_path, make_numbered, number, mp4_boxes):
    """iTunes' covr atom, in front of the tracks: FFmpeg makes it stream 0."""
    data = make_numbered("plain.mp4", range(12)).read_bytes()
    at, length = next((at, length) for kind, at, length in mp4_boxes(data) if kind == b"moov")
    cover = av_jpeg()

    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(body), kind) + body

    art = box(b"covr", box(b"data", struct.pack(">II", 13, 0) + cover))
    handler = box(b"hdlr", b"\0" * 8 + b"mdirappl" + b"\0" * 9)
    tags = box(b"udta", box(b"meta", b"\0\0\0\0" + handler + box(b"ilst", art)))
    body = data[at + 8 : at + length]
    parts = [(kind, body[start : start + size]) for kind, start, size in mp4_boxes(body) if kind != b"udta"]
    head = b"".join(part for kind, part in parts if kind == b"mvhd")
    rest = b"".join(part for kind, part in parts if kind != b"mvhd")
    path = tmp_path / "cover.mp4"
    path.write_bytes(data[:at] + box(b"moov", head + tags + rest) + data[at + length :])
    with av.open(str(path)) as container:
        assert container.streams.video[0].disposition & COVER
    with open_source(path) as source:
        assert [number(frame.image) for frame in source] == list(range(12))
    assert source.info.num_frames == 12 and source.warnings == []


def av_jpeg() -> bytes:
    context = av.CodecContext.create("mjpeg", "w")
    context.width = context.height = 64
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 180, np.uint8), format="rgb24")
    return b"".join(bytes(packet) for packet in context.encode(frame.reformat(format="yuvj420p")))


@pytest.mark.parametrize(("suffix", "codec"), [("mp3", "libmp3lame"), ("flac", "flac")])
def test_a_song_with_a_cover_holds_no_video(tmp_path, suffix, codec):
    path = tmp_path / f"song.{suffix}"
    with av.open(str(path), "w") as container:
        sound, art = container.add_stream(codec, rate=44100, layout="mono"), container.add_stream("mjpeg", rate=1)
        art.width = art.height = 64
        art.pix_fmt, art.disposition = "yuvj420p", COVER
        picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 180, np.uint8), format="rgb24")
        picture.pts, picture.time_base = 0, Fraction(1)
        covers = art.encode(picture) + art.encode()
        for index in range(20):
            samples = (np.sin(np.arange(1152) / 20 + index) * 8000).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16p", layout="mono")
            frame.rate, frame.pts, frame.time_base = 44100, index * 1152, Fraction(1, 44100)
            container.mux(sound.encode(frame))
            if covers:
                container.mux(covers)
                covers = []
        container.mux(sound.encode())
    with pytest.raises(InputError, match=r"holds no video stream \(only a cover picture\)"):
        open_source(path)


def test_colour_profiles_with_a_name_do_not_end_the_process(tmp_path):
    """PyAV frees such a name twice when side data is collected, which ends the process that asked for it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pictures = [Image.new("RGB", (32, 24), (value, 0, 0)) for value in (10, 200)]
    path = tmp_path / "film.png"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], icc_profile=profile)
    code = f"""
import gc
from streamvos.video.sources import open_source
for _ in range(60):
    with open_source({str(path)!r}) as source:
        assert [int(frame.image[0, 0, 0]) for frame in source] == [10, 200]
    gc.collect()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1000:]


@pytest.mark.parametrize("name", ["as it is", "clockwise", "half", "counter-clockwise"])
def test_turns_of_png_frames(make_numbered, name):
    """Their matrix is not asked for; the angle, which is, says the same."""
    path = set_matrix(make_numbered("clip.mp4", range(2)), *MATRICES[name][0])
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert turn_of(SimpleNamespace(format=SimpleNamespace(name="rgba"), rotation=frame.rotation)) == turn_of(frame)


def test_motion_jpeg_with_exif(tmp_path):
    """PyAV does not know that kind of side data."""
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    data = io.BytesIO()
    Image.new("RGB", (32, 24), (0, 200, 0)).save(data, "JPEG", exif=exif)
    (tmp_path / "film.mjpeg").write_bytes(data.getvalue() * 3)
    with open_source(tmp_path / "film.mjpeg") as source:
        assert [frame.size for frame in source] == [(24, 32)] * 3


def test_colours_that_nobody_knows(picture, number):
    frame = av.VideoFrame.from_ndarray(picture(5), format="rgb24").reformat(format="yuv420p")
    plain = to_rgb(frame, (64, 96))
    frame.colorspace, frame.color_primaries, frame.color_trc = 65, 31, 243
    np.testing.assert_array_equal(to_rgb(frame, (64, 96)), plain)
    assert number(plain) == 5


@pytest.mark.parametrize(("codec", "form"), [("libx265", "hevc"), ("libsvtav1", "ivf"), ("libvpx-vp9", "ivf")])
def test_decoders_that_refuse_a_picture_for_its_size_each_in_their_way(tmp_path, picture, codec, form):
    path = tmp_path / f"grows.{form}"
    path.write_bytes(_encoded(tmp_path, picture(1, 96, 64), codec, form))
    large = _encoded(tmp_path, picture(1, 1920, 1080), codec, form)
    with path.open("ab") as file:
        file.write(large[_IVF_HEADER if form == "ivf" else 0 :])
    limit = SourceConfig(max_pixels=96 * 64)
    with pytest.raises(InputError, match="max_pixels"), open_source(path, config=limit) as source:
        for frame in source:
            assert frame.size == (64, 96)


_IVF_HEADER = 32


def _encoded(tmp_path, image, codec, form) -> bytes:
    path = tmp_path / f"part.{form}"
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=10, options={"x265-params": "log-level=none"})
        stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def test_the_limit_of_pixels_holds_for_every_picture(tmp_path, make_numbered):
    small = make_numbered("small.h264", range(8), form="h264").read_bytes()
    large = make_numbered("large.h264", range(8), form="h264", size=(640, 480)).read_bytes()
    huge = make_numbered("huge.h264", range(2), form="h264", size=(2560, 1440)).read_bytes()
    limit = SourceConfig(max_pixels=96 * 64)
    for name, data in (("grows.h264", small + large), ("leaps.h264", small + huge)):
        (tmp_path / name).write_bytes(data)
        seen = []
        with pytest.raises(InputError, match="max_pixels"), open_source(tmp_path / name, config=limit) as source:
            for frame in source:
                seen.append(frame.size)
        assert seen == [(64, 96)] * len(seen) and len(seen) >= 6
    with open_source(tmp_path / "grows.h264") as source:
        assert len(list(source)) == 16
    assert any("the size changes" in text for text in source.warnings)
    with pytest.raises(InputError, match="96x64 pixels.*max_pixels"):  # 192x64 as it is shown
        open_source(make_numbered("wide.mp4", range(2), aspect=Fraction(2)), config=limit)
