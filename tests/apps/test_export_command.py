"""A part of a video by the options of `run`, followed from a click, exported with its pictures, and given back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from apps.cli import main
from streamvos.export.masks import read_mask
from streamvos.video.sources import open_source

FAST = ("--runner", "local", "--size", "64", "--threads", "1", "--device", "cpu", "--quiet", "--stages", "segment")
PART = ("--start", "0:00.2", "--end", "1.2", "--fps", "12.5")


@pytest.fixture
def video(make_video):
    return make_video("clip.mp4", 40)


def run(*arguments) -> int:
    return main(["run", *map(str, arguments), *FAST])


def report(folder):
    return json.loads((folder / "run.json").read_text())


def test_a_part_is_run_exported_and_given_back(video, tmp_path, capsys, monkeypatch):
    options = ("--point", "2:48,12", "--point", "2:10,40,-", *PART)
    assert run(video, "--out", tmp_path / "out", *options) == 0
    folder = tmp_path / "out/clip"
    assert report(folder)["counts"]["frames"] == 13
    given = report(folder)["given"]
    assert (given["start_s"], given["end_s"], given["fps"]) == (0.2, 1.2, 12.5)
    capsys.readouterr()
    assert main(["export", str(tmp_path / "out"), "--format", "coco", "--out", str(tmp_path / "coco"), "--images"]) == 0
    said = capsys.readouterr().out
    assert "clip: 13 frames, 1 objects, as coco" in said and "annotations.json images/" in said
    coco = COCO(str(tmp_path / "coco/annotations.json"))
    times = [image["time_s"] for image in coco.loadImgs(coco.getImgIds())]
    assert times == pytest.approx([0.2 + 0.08 * number for number in range(13)])
    with open_source(video) as source:
        want = next(frame.image for frame in source if frame.index == 7)
    got = np.asarray(Image.open(tmp_path / "coco/images/00001.jpg")).astype(int)
    assert np.abs(got - want).mean() < 3  # the picture of the same frame, but for JPEG
    assert len(list((tmp_path / "coco/images").iterdir())) == 13
    prompts = ("--prompts", tmp_path / "coco/annotations.json", *PART, "--max-frames", "2")
    assert run(video, "--out", tmp_path / "again", *prompts) == 0
    one, two = (read_mask(tmp_path / name / "clip/masks/00000.png") for name in ("out", "again"))
    assert one.any() and np.array_equal(one, two)
    video.rename(tmp_path / "moved.mp4")
    again = ("export", str(folder), "--format", "coco", "--out", str(tmp_path / "more"), "--images")
    assert main(list(again)) == 2
    assert "is still there; leave out --images, or put it back" in "".join(capsys.readouterr().err.split("\n"))


def test_a_part_that_was_stopped_goes_on(video, tmp_path, monkeypatch):
    """Frames after the checkpoint are those of a run that was not stopped."""
    options = ("--point", "1:48,12", *PART, "--checkpoint-every", "4")
    assert run(video, "--out", tmp_path / "whole", *options) == 0

    class Broken(Exception):
        pass

    from streamvos.export.run_dir import RunDirectory

    write = RunDirectory.write

    def breaking(self, frame, result):
        if frame.index == 6:
            raise Broken
        write(self, frame, result)

    monkeypatch.setattr(RunDirectory, "write", breaking)
    assert run(video, "--out", tmp_path / "part", *options) == 1
    monkeypatch.undo()
    assert run(video, "--out", tmp_path / "part", *options, "--resume") == 0
    for name in ("tracks.json", "boxes.txt"):
        assert (tmp_path / "part/clip" / name).read_bytes() == (tmp_path / "whole/clip" / name).read_bytes()
    changed = ("--start", "0.4", *options[2:][2:])
    assert run(video, "--out", tmp_path / "whole", "--point", "1:48,12", *changed, "--overwrite") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--start", "9"), "--start: expected a time inside the video"),
        (("--start", "1", "--end", "0:00.5"), "--end: expected a time after the start, 1 s; got 0.5 s"),
        (("--fps", "0"), "--fps: expected more than 0 frames a second"),
        (("--point", "1:200,2"), "the point [200.0, 2.0] lies outside the frame of 64x48"),
        (("--prompts", "none.xml"), "cannot be read as XML"),
    ],
)
def test_bad_options(video, tmp_path, capsys, arguments, message):
    point = () if "--point" in arguments or "--prompts" in arguments else ("--point", "1:48,12")
    assert run(video, "--out", tmp_path / "out", *point, *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0]


def test_yolo_prompts_know_the_size_of_the_video(video, tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/00000.txt").write_text("0 0.75 0.25 0.5 0.5\n")
    prompts = ("--prompts", tmp_path / "labels", "--max-frames", "1")
    assert run(video, "--out", tmp_path / "out", *prompts) == 0
    mask = read_mask(tmp_path / "out/clip/masks/00000.png") == 1
    assert mask[:24, 32:].mean() > 0.8 > 0.1 > mask[24:].mean()


def test_export_says_what_is_wrong(tmp_path, capsys):
    for arguments, message in (
        ((str(tmp_path), "--format", "coco", "--out", "o"), "holds no run (no run.json)"),
        ((str(tmp_path), "--format", "cocoo", "--out", "o"), "invalid choice: 'cocoo'"),
        ((str(tmp_path / "none"), "--format", "csv", "--out", "o"), "is not a folder"),
    ):
        assert main(["export", *arguments]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and message in lines[0]
