"""MOTChallenge as it lies on disk (MOT15, MOT16, MOT17, MOT20), and data sets of the same layout, such as DanceTrack.

Layout: `<sequence>/seqinfo.ini`, `<sequence>/gt/gt.txt`, and the frames in the folder that seqinfo.ini names as
`imDir` (relative to the sequence; `img1` where it names none). Without seqinfo.ini a sequence is as long as its frames
in `img1`, at 25 frames a second. Sequences lie in the root or in its folder `train`, `val` or `mot`; beside `mot`,
frames are also found in `JPEGImages/480p/<sequence>`, where composed benchmarks keep them. Frames may be missing where
only results are scored. What gt.txt may hold: `eval.datasets.mot_truth`.

MOT17 has each sequence three times, with the detections of DPM, FRCNN and SDP; pictures and truth are the same.
"""

from __future__ import annotations

import configparser
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from eval.datasets.mot_truth import TruthRules, read_truth
from streamvos.errors import InputError, unknown_name
from streamvos.foreign_files import is_folder
from streamvos.video.images import find_images
from streamvos.video.names import folders_in, natural_sorted
from streamvos.video.rates import parse_rate

_log = logging.getLogger(__name__)
_PLACES = ("", "train", "val", "mot")
_RATE = Fraction(25)  # where nobody says
_DETECTORS = re.compile("(MOT17-[0-9]+)-(DPM|FRCNN|SDP)")
_MOST_FRAMES = 10_000_000  # of a sequence; TrackEval makes lists of so many


@dataclass(frozen=True)
class MotSequence:
    """One sequence on disk.

    Args:
        name: of the sequence.
        truth: its gt.txt.
        num_frames: its length, also where the frames are not there.
        rate: frames per second.
        frames_folder: where the frames are, or should be.
        rules: which boxes of the truth count.
    """

    name: str
    truth: Path
    num_frames: int
    rate: Fraction
    frames_folder: Path
    rules: TruthRules = "MOT15"

    def frames(self) -> list[Path]:
        """The pictures, in order.

        Raises:
            InputError: there are none, or not as many as the sequence is long.
        """
        if not is_folder(self.frames_folder):
            raise InputError(
                f"sequence {self.name}: expected frames in {str(self.frames_folder)!r} (imDir of seqinfo.ini); "
                "without frames, give the results to be scored as --results DIR"
            )
        frames, _ = find_images(str(self.frames_folder))
        if len(frames) != self.num_frames:
            raise InputError(f"sequence {self.name}: expected {self.num_frames} frames, got {len(frames)}")
        return frames


def find_sequences(root: Path, names: Sequence[str] | None = None, pictures_once: bool = False) -> list[MotSequence]:
    """The sequences under a root, all of the first place that holds some, or those named, in order of name.

    Args:
        names: of sequences; MOT17's may leave out the detector (MOT17-02).
        pictures_once: of MOT17's sequences that differ in given detections alone, take the first.

    Raises:
        InputError: no such layout, an unknown name, an incomplete seqinfo.ini, or a truth that cannot be scored.
    """
    there = [_sequences_in(place) for folder in _PLACES if (place := root / folder).is_dir()]
    there = [folders for folders in there if folders]
    if not there:
        raise InputError(
            f"{str(root)!r} is not a MOTChallenge folder: expected <sequence>/gt/gt.txt with seqinfo.ini, or with "
            "frames in img1, here or in train/, val/ or mot/"
        )
    if names:
        known = {folder.name: folder for folders in reversed(there) for folder in folders}
        chosen = {_full_name(name, known) for name in names}
        return [_sequence(folder) for folder in natural_sorted(known[name] for name in chosen)]
    chosen = _once(there[0]) if pictures_once else there[0]
    if len(chosen) < len(there[0]):
        left_out = ", ".join(folder.name for folder in there[0] if folder not in chosen)
        _log.warning("left out, with the same pictures and truth as another: %s", left_out)
    return [_sequence(folder) for folder in chosen]


def _sequences_in(place: Path) -> list[Path]:
    return [
        path
        for path in folders_in(place)
        if (path / "seqinfo.ini").is_file() or ((path / "gt" / "gt.txt").is_file() and is_folder(path / "img1"))
    ]


def _full_name(name: str, known: Mapping[str, Path]) -> str:
    if name in known:
        return name
    same = [one for one in known if (match := _DETECTORS.fullmatch(one)) and match[1] == name]
    if not same:
        raise unknown_name("MOT sequence", name, sorted(known))
    return min(same)


def _once(folders: Sequence[Path]) -> list[Path]:
    chosen: dict[str, Path] = {}
    for folder in folders:
        match = _DETECTORS.fullmatch(folder.name)
        chosen.setdefault(match[1] if match else folder.name, folder)
    return list(chosen.values())


def _sequence(folder: Path) -> MotSequence:
    truth = folder / "gt" / "gt.txt"
    if (folder / "seqinfo.ini").is_file():
        num_frames, rate, frames = _read_info(folder)
    else:
        frames, rate = folder / "img1", _RATE
        num_frames = len(find_images(str(frames))[0])
        _log.warning("%s has no seqinfo.ini: taken as %d frames at %s a second", folder.name, num_frames, rate)
    if not truth.is_file():
        raise InputError(f"sequence {folder.name}: expected its truth as {str(truth)!r}")
    rules = read_truth(truth, num_frames).rules  # now, not when hours of following are over
    if rules == "MOT17" and folder.name.startswith("MOT20-"):
        rules = "MOT20"
    elsewhere = folder.parent.parent / "JPEGImages" / "480p" / folder.name
    if not is_folder(frames) and folder.parent.name == "mot" and elsewhere.is_dir():
        frames = elsewhere
    return MotSequence(folder.name, truth, num_frames, rate, frames, rules)


def _read_info(folder: Path) -> tuple[int, Fraction, Path]:
    """Number of frames, frames a second and folder of frames, of seqinfo.ini."""
    info, path = configparser.ConfigParser(interpolation=None), folder / "seqinfo.ini"
    try:
        info.read(path, encoding="utf-8-sig")
        part = info["Sequence"]
        num_frames = int(part["seqLength"])
        if not 1 <= num_frames <= _MOST_FRAMES:
            raise ValueError(f"1 to {_MOST_FRAMES}, got {part['seqLength']}")
    except (configparser.Error, KeyError, ValueError) as error:
        raise InputError(f"{str(path)!r}: expected [Sequence] with seqLength, a number of frames ({error})") from None
    try:
        rate = parse_rate(part.get("frameRate", str(_RATE)))
    except InputError as error:
        raise InputError(f"{str(path)!r}: frameRate: {error}") from None
    return num_frames, rate, folder / part.get("imDir", "img1")
