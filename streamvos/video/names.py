"""Names of files: their natural order, which are not meant, patterns, and how to show those that are not UTF-8."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

from streamvos.foreign_files import is_file, is_folder

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm")
# Folders that systems put beside the user's: copies by macOS, thumbnails of a NAS, bins.
_FOREIGN_FOLDERS = ("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found")
_DIGITS = re.compile(r"([0-9]+)")
_DECIMAL = re.compile(r"(.*?)([0-9]+)\.([0-9]+)", re.DOTALL)
_MOST_DIGITS = 4000  # Python reads no longer ones, and no file has them
_PRINTF = re.compile(r"%(%|0?[0-9]*d)")


def natural_key(path: Path | str) -> list[tuple[int, int, str]]:
    """Sort key that puts frame2 before frame10; of equal numbers the shorter name comes later (01 before 1)."""
    parts = _DIGITS.split(str(path))
    return [
        (0, int(part[:_MOST_DIGITS]), part) if place % 2 else (1, 0, part)  # every other part is digits
        for place, part in enumerate(parts)
        if part
    ]


def natural_sorted(paths: Iterable[Path]) -> list[Path]:
    """Files in natural order. Names that are times in seconds ("0.5.png", "0.25.png") are ordered as decimals.

    They are taken for versions ("v1.9", "v1.10": the tenth) where numbers after the point differ in length and one
    ends in 0, which no program that prints seconds writes, but each that counts.
    """
    paths = list(paths)
    times = _as_times([path.stem for path in paths])
    if times is None:
        return sorted(paths, key=natural_key)
    keyed = [(natural_key(path.parent), time, natural_key(path), path) for path, time in zip(paths, times, strict=True)]
    return [path for *_, path in sorted(keyed)]


def is_hidden(path: Path) -> bool:
    """Whether a file is one that its folder does not show: hidden ones, among them macOS's "._frame.png"."""
    return path.name.startswith(".")


def is_image(path: Path) -> bool:
    """Whether a path is an image file that is meant to be read."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path) and is_file(path)


def files_in(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder whose names match, in natural order, without hidden ones."""
    return natural_sorted(path for path in folder.glob(pattern) if path.is_file() and not is_hidden(path))


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, in natural order, without hidden ones and those that systems make."""
    there = (path for path in folder.iterdir() if path.is_dir())
    return sorted(
        (path for path in there if not is_hidden(path) and path.name not in _FOREIGN_FOLDERS), key=natural_key
    )


def images_matching(pattern: str) -> list[Path]:
    """The images that a pattern means, in natural order: `shots/*.png`, `**`, `shots/frame%04d.png`.

    Parts of the pattern that exist literally, such as a folder "clip [v2]", are taken literally.
    """
    fixed, rest = _literal_start(pattern)
    candidates: list[tuple[str, re.Pattern[str] | None]] = [
        (fixed + rest, None),
        (pattern, None),
        (fixed + rest.replace("[", "[[]"), None),
    ]
    if _is_printf(rest):
        wild = _PRINTF.sub(lambda found: "%" if found[1] == "%" else "\0", rest)
        candidates.append((fixed + glob.escape(wild).replace("\0", "*"), _printf_regex(rest)))
    for candidate, form in candidates:
        paths = [Path(name) for name in glob.glob(candidate, recursive=True)]
        images = [path for path in paths if is_image(path) and not _is_foreign(path, pattern)]
        if form is not None:
            images = [path for path in images if form.search(str(path))]
        if images:
            return natural_sorted(dict.fromkeys(images))
    return []


def is_pattern(text: str) -> bool:
    """Whether a text that is no file's name can be read as a pattern."""
    return any(sign in text for sign in "*?[") or _is_printf(text)


def printable(text: str) -> str:
    r"""A name as UTF-8 can write it: bytes of another encoding become escapes such as \udce9."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def safe_name(text: str) -> str:
    """A folder name made of `text`: letters, digits, dot, dash and underscore only; never empty or hidden."""
    return re.sub(r"[^\w.-]+", "_", text).strip("._")[:100] or "video"


def spelled_out(specs: Sequence[str]) -> str | None:
    """The folder of several single images of one folder: a pattern that the shell has replaced; None otherwise."""
    paths = [Path(spec) for spec in specs]
    folders = {path.parent for path in paths}
    if len(paths) < 2 or len(folders) > 1 or not all(is_image(path) for path in paths):
        return None
    return printable(str(folders.pop()))


def _as_times(stems: Sequence[str]) -> list[Fraction] | None:
    """The numbers of names that differ in one decimal only; None where they do not, or where they count."""
    found = [_DECIMAL.fullmatch(stem) for stem in stems]
    if len(stems) < 2 or None in found or len({match[1] for match in found}) > 1:
        return None
    prefix, digits = found[0][1], [match[3] for match in found]
    if prefix.endswith(".") and prefix[:-1][-1:].isdigit():  # 1.2.3
        return None
    if len({len(part) for part in digits}) > 1 and any(len(part) > 1 and part.endswith("0") for part in digits):
        return None
    return [Fraction(int(match[2] + match[3]), 10 ** len(match[3])) for match in found]


def _literal_start(pattern: str) -> tuple[str, str]:
    """The folders at its start that exist by their names, escaped for glob, and the rest."""
    parts = re.split(r"(?<=/)", pattern)
    place, kept = "", ""
    for number, part in enumerate(parts[:-1]):
        if not is_folder(Path(place + part)):
            return kept, "".join(parts[number:])
        place, kept = place + part, kept + glob.escape(part)
    return kept, parts[-1]


def _is_foreign(path: Path, pattern: str) -> bool:
    """Whether a folder that nobody named, but a wild card found, is hidden or a system's."""
    named = set(Path(pattern).parts)
    folders = [part for part in path.parts[:-1] if part not in named and part not in ("/", "..")]
    return any(part.startswith(".") or part in _FOREIGN_FOLDERS for part in folders)


def _is_printf(text: str) -> bool:
    return any(found != "%" for found in _PRINTF.findall(text))


def _printf_regex(text: str) -> re.Pattern[str]:
    def digits(spec: str) -> str:
        width = int(spec[1:-1] or 1) if spec.startswith("0") else 1
        return f"[0-9]{{{width},}}"

    pieces = []
    for place, part in enumerate(_PRINTF.split(text)):  # every other part is what stands behind a %
        pieces.append(re.escape(part) if place % 2 == 0 else "%" if part == "%" else digits(part))
    return re.compile(f"(?:^|/){''.join(pieces)}$")
