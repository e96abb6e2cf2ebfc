"""`streamvos eval mot` on real frames; the truth is what the baseline itself makes of them."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.cli import main
from eval.commands.mot import MotTask
from eval.metrics.mot import INSTALL
from eval.running.box_linkers import INSTALL as INSTALL_TRACKERS
from pipelines.graph.build import GraphConfig
from pipelines.session import Session
from streamvos.export.boxes import box_lines
from streamvos.video.sources import open_source

FIXTURES = Path(__file__).parents[1] / "fixtures"
needs_trackeval = pytest.mark.skipif(
    importlib.util.find_spec("trackeval") is None, reason=f"TrackEval is not installed: {INSTALL}"
)

needs_trackers = pytest.mark.skipif(
    importlib.util.find_spec("trackers") is None, reason=f"trackers is not installed: {INSTALL_TRACKERS}"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "mot" / "street"
    (folder / "img1").mkdir(parents=True)
    (folder / "gt").mkdir()
    with open_source("sample:bikes", start_index=30, max_frames=42) as source:
        for index, frame in enumerate(source, start=1):
            Image.fromarray(frame.image).save(folder / "img1" / f"{index:06d}.png", compress_level=1)
    (folder / "seqinfo.ini").write_text("[Sequence]\nframeRate=25\nseqLength=12\n")
    return tmp_path


@needs_trackeval
@needs_trackers
def test_method_and_baseline(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    truth = root / "mot/street/gt/gt.txt"
    truth.write_text("")
    out, detect = tmp_path / "linked", GraphConfig(stages=("detect", "segment"))
    MotTask(root, "detections linked by IoU", detect, None, out)("street")
    found = [line.split(",") for line in (out / "street.txt").read_text().splitlines()]
    assert len(found) > 12 and {int(line[0]) for line in found} <= set(range(1, 13))
    with Image.open(root / "mot/street/img1/000001.png") as picture:
        seen = Session(GraphConfig(stages=("detect",))).step(np.array(picture), 0.0)
    plain = [line.split(",")[2:6] for line in box_lines(seen).splitlines()]
    assert sorted(plain) == sorted(line[2:6] for line in found if line[0] == "1")  # pixels from 1, as ours
    truth.write_text("".join(",".join([*line[:6], "1", *line[7:]]) + "\n" for line in found))
    kept = tmp_path / "tracks"
    command = ["eval", "mot", str(root), "--classes", "all", "--baseline", "--jobs", "1", "--out", str(kept)]
    assert main([*command, "--save", str(tmp_path / "results")]) == 0
    assert "| street " in capsys.readouterr().out
    rows = {row["sequence"]: row for row in json.loads((tmp_path / "results" / "mot.json").read_text())["rows"]}
    assert list(rows)[2:] == [
        "all, detect and segment, detector on every frame",
        "all, detections linked by IoU",
        "all, ByteTrack, detector on every frame",
        "all, OC-SORT, detector on every frame",
        "all, ByteTrack, as many detector runs",
        "all, OC-SORT, as many detector runs",
    ]
    saved = json.loads((tmp_path / "results" / "mot.json").read_text())
    assert "track_activation_threshold 0.7" in json.dumps(saved)
    baseline = rows["all, detections linked by IoU"]
    assert (baseline["MOTA"], baseline["IDF1"], baseline["HOTA"]) == (100, 100, 100)
    assert 20 < rows["street"]["HOTA"] < 100 and rows["street"]["frames"] == 12
    assert main(["eval", "mot", str(root), "--results", str(kept), "--save", str(tmp_path / "again")]) == 0
    again = json.loads((tmp_path / "again" / "mot.json").read_text())["rows"][0]
    assert again == {**rows["street"], "frames/s": None}


@needs_trackeval
def test_given_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = ["eval", "mot", str(FIXTURES / "mot"), "--results", str(FIXTURES / "mot/results")]
    assert main([*command, "--save", str(tmp_path)]) == 0
    recorded = json.loads((FIXTURES / "mot_trackeval.json").read_text())
    row = json.loads((tmp_path / "mot.json").read_text())["rows"][-1]
    assert row["MOTA"] == round(100 * recorded["CLEAR"]["MOTA"], 2)
    assert row["IDF1"] == round(100 * recorded["Identity"]["IDF1"], 2)
    assert row["HOTA"] == round(100 * np.mean(recorded["HOTA"]["HOTA"]), 2)
    assert main([*command, "--baseline"]) == 2
    assert "--results scores what is there" in capsys.readouterr().err


def test_bad_input(root: Path, capsys: pytest.CaptureFixture[str]):
    (root / "mot/street/gt/gt.txt").write_text("")
    assert main(["eval", "mot", str(root), "--classes", "persn"]) == 2
    assert "did you mean 'person'" in capsys.readouterr().err
    assert main(["eval", "mot", str(root), "--results", str(root)]) == 2
    assert "expected its results" in capsys.readouterr().err
