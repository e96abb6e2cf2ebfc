from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.datasets.mot import find_sequences
from streamvos.errors import InputError


def write_mot(root: Path, name: str, info: str = "seqLength=2\n", frames: str | None = "img1", count: int = 2) -> Path:
    folder = root / name
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text("1,1,0,0,10,10,1,-1,-1,-1\n")
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={name}\n{info}")
    if frames is not None:
        (folder / frames).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            picture = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
            picture.save(folder / frames / f"{index + 1:06d}.jpg")
    return folder


@pytest.mark.parametrize("place", ["", "train", "val", "mot"])
def test_finds_sequences_where_they_lie(tmp_path: Path, place: str):
    write_mot(tmp_path / place, "MOT17-02-DPM", "frameRate=30\nimDir=pictures\nseqLength=2\n", "pictures")
    write_mot(tmp_path / place, "TUD-Campus")
    first, second = find_sequences(tmp_path)
    assert (first.name, first.rate, first.num_frames) == ("MOT17-02-DPM", Fraction(30), 2)
    assert (second.rules, second.rate) == ("MOT15", Fraction(25))
    assert [path.name for path in first.frames()] == ["000001.jpg", "000002.jpg"]
    assert [one.name for one in find_sequences(tmp_path, ["TUD-Campus"])] == ["TUD-Campus"]


@pytest.mark.parametrize("named", ["imDir=../../JPEGImages/480p/a\n", "imDir=img1\n"], ids=["named", "usual"])
def test_frames_of_a_composed_benchmark(tmp_path: Path, named: str):
    write_mot(tmp_path / "mot", "a", f"{named}seqLength=2\n", "../../JPEGImages/480p/a")
    assert len(find_sequences(tmp_path)[0].frames()) == 2


def test_bad_input(tmp_path: Path):
    with pytest.raises(InputError, match="not a MOTChallenge folder"):
        find_sequences(tmp_path)
    folder = write_mot(tmp_path, "a", frames=None)
    write_mot(tmp_path, "b", count=3)
    first, second = find_sequences(tmp_path)
    with pytest.raises(InputError, match="--results"):
        first.frames()
    with pytest.raises(InputError, match="expected 2 frames, got 3"):
        second.frames()
    with pytest.raises(InputError, match="unknown MOT sequence 'c'"):
        find_sequences(tmp_path, ["c"])
    (folder / "gt" / "gt.txt").unlink()
    with pytest.raises(InputError, match="expected its truth"):
        find_sequences(tmp_path)
    (folder / "seqinfo.ini").write_text("[Sequence]\nseqLength=many\n")
    with pytest.raises(InputError, match="seqLength"):
        find_sequences(tmp_path)


def test_dancetrack(tmp_path: Path):
    for place, name in (("train", "dancetrack0001"), ("val", "dancetrack0004"), ("test", "dancetrack0003")):
        folder = write_mot(tmp_path / place, name, "imDir=img1\nframeRate=20\nseqLength=2\n", count=0)
        (folder / "gt" / "gt.txt").write_text("2,1,0,0,10,10,1,1,1\n1,1,0,0,10,10,1,1,1\n")
        for index in (1, 2):
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "img1" / f"{index:08d}.jpg")
    (tmp_path / "test/dancetrack0003/gt/gt.txt").unlink()
    (one,) = find_sequences(tmp_path)
    assert (one.name, one.rate, one.rules) == ("dancetrack0001", 20, "MOT15")  # one class: all boxes count
    assert [path.name for path in one.frames()] == ["00000001.jpg", "00000002.jpg"]
    (held_out,) = find_sequences(tmp_path, ["dancetrack0004"])
    assert held_out.truth.parts[-4:-2] == ("val", "dancetrack0004")
    assert [one.name for one in find_sequences(tmp_path / "val")] == ["dancetrack0004"]


def test_one_of_the_detectors_of_mot17(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    for name in ("MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-02-SDP", "MOT17-04-SDP"):
        write_mot(tmp_path / "train", name)
    assert len(find_sequences(tmp_path)) == 4  # as results are submitted
    once = find_sequences(tmp_path, pictures_once=True)
    assert [one.name for one in once] == ["MOT17-02-DPM", "MOT17-04-SDP"]
    assert "MOT17-02-FRCNN, MOT17-02-SDP" in caplog.text
    assert [one.name for one in find_sequences(tmp_path, ["MOT17-04", "MOT17-02-SDP"])] == [
        "MOT17-02-SDP",
        "MOT17-04-SDP",
    ]


def test_without_seqinfo_the_frames_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (write_mot(tmp_path, "a", count=3) / "seqinfo.ini").unlink()
    (one,) = find_sequences(tmp_path)
    assert (one.num_frames, one.rate) == (3, 25) and "a has no seqinfo.ini: taken as 3 frames at 25" in caplog.text
    (write_mot(tmp_path / "other", "b", frames=None) / "seqinfo.ini").unlink()
    with pytest.raises(InputError, match="with seqinfo.ini, or with frames in img1"):
        find_sequences(tmp_path / "other")
