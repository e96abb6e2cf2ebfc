"""Pictures that ask to be turned, wherever their format says so, and damage of what says it."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from streamvos.errors import InputError
from streamvos.video.images import image_size, read_image
from streamvos.video.sources import open_source

EXPECTED = {1: "RGBW", 2: "GRWB", 3: "WBGR", 4: "BWRG", 5: "RBGW", 6: "BRWG", 7: "WGBR", 8: "GWRB"}
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{}"/>'
    "</rdf:RDF></x:xmpmeta>"
)


def exif_bytes(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def png(image: np.ndarray, before=(), after=()) -> bytes:
    """A PNG with chunks (kind, data) in front of its pixels and behind them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    plain, out, at, met = io.BytesIO(), b"\x89PNG\r\n\x1a\n", 8, False
    Image.fromarray(image).save(plain, "PNG")
    data = plain.getvalue()
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"IDAT" and not met:
            out, met = out + b"".join(chunk(*one) for one in before), True
        if kind == b"IEND":
            out += b"".join(chunk(*one) for one in after)
        out += chunk(kind, data[at + 8 : at + 8 + length])
        at += 12 + length
    return out


def raw_profile(orientation: int) -> bytes:
    body = b"Exif\0\0" + exif_bytes(orientation)[6:]
    return b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%8d\n" % len(body) + body.hex().encode() + b"\n")


def xmp_text(orientation: int) -> bytes:
    return b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.format(orientation).encode()


def write(path: Path, image: np.ndarray, kind: str, orientation: int) -> Path:
    picture = Image.fromarray(image)
    exif = exif_bytes(orientation)[6:]
    if kind == "jpeg":
        picture.save(path.with_suffix(".jpg"), exif=exif_bytes(orientation), quality=95)
    elif kind == "jpeg xmp":
        picture.save(path.with_suffix(".jpg"), xmp=XMP.format(orientation).encode(), quality=95)
    elif kind == "webp":
        picture.save(path.with_suffix(".webp"), exif=exif_bytes(orientation), lossless=True)
    elif kind == "tiff":
        picture.save(path.with_suffix(".tif"), tiffinfo={0x0112: orientation}, compression="tiff_lzw")
    elif kind == "tiff xmp":
        info = TiffImagePlugin.ImageFileDirectory_v2()
        info[700], info.tagtype[700] = XMP.format(orientation).encode(), 1
        picture.save(path.with_suffix(".tif"), tiffinfo=info)
    else:
        parts = {
            "png before": ([(b"eXIf", exif)], []),
            "png after": ([], [(b"eXIf", exif)]),
            "png profile": ([(b"zTXt", raw_profile(orientation))], []),
            "png profile after": ([], [(b"zTXt", raw_profile(orientation))]),
            "png xmp": ([(b"iTXt", xmp_text(orientation))], []),
            "png xmp after": ([], [(b"iTXt", xmp_text(orientation))]),
        }
        path.with_suffix(".png").write_bytes(png(image, *parts[kind]))
    return next(path.parent.glob(f"{path.stem}.*"))


KINDS = (
    *("jpeg", "jpeg xmp", "webp", "tiff", "tiff xmp"),
    *("png before", "png after", "png profile", "png profile after", "png xmp", "png xmp after"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_all_eight_ways_to_lie(tmp_path, picture, corners, kind):
    stored = picture(3)
    for orientation, expected in EXPECTED.items():
        folder = tmp_path / str(orientation)
        folder.mkdir()
        path = write(folder / "a", stored, kind, orientation)
        image = read_image(path)
        assert corners(image) == expected, orientation
        assert image_size(path) == image.shape[:2] == ((96, 64) if orientation >= 5 else (64, 96))
        with open_source(folder) as source:
            assert next(source).size == (source.info.height, source.info.width)


@pytest.mark.parametrize("what", ["cut", "noise", "nonsense", "no number"])
def test_damaged_exif_leaves_the_picture_as_it_is(tmp_path, picture, corners, what):
    exif = {
        "cut": exif_bytes(6)[:12],
        "noise": b"Exif\0\0" + bytes(np.random.default_rng(0).integers(0, 256, 60, np.uint8)),
        "nonsense": exif_bytes(77),
        "no number": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04abc\0\0\0\0\0",
    }[what]
    Image.fromarray(picture(1)).save(tmp_path / "0.jpg", exif=exif)
    (tmp_path / "1.png").write_bytes(png(picture(1), after=[(b"eXIf", exif[6:])]))
    (tmp_path / "2.png").write_bytes(png(picture(1), [(b"tEXt", b"Raw profile type exif\0\nexif\n 8\nzz\n")]))
    (tmp_path / "3.png").write_bytes(png(picture(1), [(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0tiff:Orientation="9"')]))
    with open_source(tmp_path) as source:
        assert [corners(frame.image) for frame in source] == ["RGBW"] * 4


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg", "bmp", "ppm"])
def test_damaged_pictures_end_with_one_clear_line(tmp_path, picture, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(picture(1)).save(path)
    whole, random = path.read_bytes(), np.random.default_rng(1)
    for _ in range(60):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 8)):
            data[place] = random.integers(0, 256)
        path.write_bytes(data[: random.integers(1, len(data) + 1)])
        try:
            with open_source(path) as source:
                list(source)
        except InputError as error:
            assert "\n" not in str(error)
