"""What a run makes of sources that are not what they seem."""

import io
import json
import os
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from apps.cli import main

FAST = ("--runner", "local", "--size", "64", "--threads", "1", "--device", "cpu", "--quiet", "--stages", "reconstruct")


@pytest.fixture
def run(tmp_path, capsys):
    """Run sources into tmp_path/out; returns exit code and stderr."""

    def call(*arguments) -> tuple[int, str]:
        code = main(["run", *map(str, arguments), "--out", str(tmp_path / "out"), *FAST])
        return code, capsys.readouterr().err

    return call


def report_of(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def jpeg(value: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.full((48, 64, 3), value, np.uint8)).save(data, "JPEG")
    return data.getvalue()


def test_a_camera_is_connected_to_once(run, camera, tmp_path):
    server = camera([(0.05, jpeg(place % 250)) for place in range(2000)])
    code, _ = run(server.url, "--max-frames", 5)
    report = report_of(next((tmp_path / "out").iterdir()))
    assert code == 0 and server.num_links == 1
    assert report["status"] == "complete" and report["counts"]["frames"] == 5
    code, _ = run(server.url, "--max-frames", 5, "--resume")
    assert code == 0 and threading.active_count() < 20


def test_a_link_that_breaks_fails_the_run_which_can_go_on(run, web, make_video, tmp_path):
    make_video("clip.mp4", 60, size=(96, 128), flags="faststart")
    web.cut_at = 0.6
    code, said = run(web.url("clip.mp4"), "--checkpoint-every", "10")
    folder = next((tmp_path / "out").iterdir())
    report = report_of(folder)
    assert code != 0 and "the link broke after" in said and "--resume" in said
    assert report["status"] == "failed" and 10 < report["counts"]["frames"] < 60
    web.cut_at = None
    code, _ = run(web.url("clip.mp4"), "--checkpoint-every", "10", "--resume")
    report = report_of(folder)
    assert code == 0 and report["status"] == "complete" and report["counts"]["frames"] == 60
    with av.open(str(folder / "overlay.mp4")) as container:
        assert [frame.time for frame in container.decode(video=0)] == pytest.approx([i / 25 for i in range(60)])


def test_pictures_one_by_one_are_noticed(run, tmp_path):
    for number in range(2):
        Image.fromarray(np.full((48, 64, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
    code, said = run(tmp_path / "0.png", tmp_path / "1.png")
    assert code == 0 and f"2 pictures are run one by one; for one video of them give the folder '{tmp_path}'" in said


def test_a_name_that_is_not_utf_8_runs(run, make_video, tmp_path):
    try:
        path = make_video("plain.mp4", 3).rename(Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.mp4")))
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    code, _ = run(path)
    assert code == 0 and report_of(tmp_path / "out" / "caf")["source"]["location"].endswith("caf\\udce9.mp4")
