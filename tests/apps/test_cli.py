"""Bad input ends with one clear line on stderr and the right exit code; so does bad usage."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps import run_options
from apps.cli import main
from pipelines.graph.build import STAGES
from pipelines.graph.runners import RUNNERS
from streamvos.device import DEVICES
from streamvos.export import result_files

ROOT = Path(__file__).resolve().parents[2]
FAST = ("--runner", "local", "--size", "64", "--threads", "1", "--device", "cpu", "--quiet")


@pytest.fixture
def run(tmp_path, capsys):
    """Run a command; returns exit code, stdout, and the lines of stderr."""

    def call(*arguments) -> tuple[int, str, list[str]]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.splitlines()

    return call


@pytest.fixture
def error_of(run, tmp_path):
    """Run `streamvos run`, which must fail with one line on stderr; returns what it says."""

    def call(*arguments, code: int = 2) -> str:
        have, out, lines = run("run", "--out", tmp_path / "out", *FAST, *arguments)
        assert len(lines) == 1 and lines[0].startswith("streamvos: error: "), lines
        assert (have, out) == (code, "")
        return lines[0].removeprefix("streamvos: error: ")

    return call


def save(path, shape, value=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "required: COMMAND"),
        (("rnu",), "invalid choice: 'rnu'"),
        (("run",), "required: SOURCE, --out"),
        (("run", "clip.mp4", "--out", "o", "--size", "big"), "--size: invalid int value: 'big'"),
        (("run", "clip.mp4", "--out", "o", "--nothing"), "unrecognized arguments: --nothing"),
        (("ask", "nowhere", "what was seen?"), "'nowhere' is not a folder"),
        (("bench",), "required: pipeline|trackers|memory"),
    ],
)
def test_bad_usage(run, arguments, message):
    code, out, lines = run(*arguments)
    assert code == 2 and out == ""
    assert len(lines) == 1 and lines[0].startswith("streamvos: error: ") and message in lines[0]


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("ask", "--help"), ("--version",)])
def test_help(run, arguments):
    code, out, lines = run(*arguments)
    assert code == 0 and "streamvos" in out and lines == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--version",), 0), (("run", "--help"), 0), (("ask", "--help"), 0), (("run",), 2), (("models", "list"), 0)],
    ids=str,
)
def test_what_needs_no_torch_does_not_load_it(arguments, code):
    program = "import sys; from apps.cli import main; code = main(sys.argv[1:]); "
    program += "heavy = [name for name in ('torch', 'cv2', 'ray') if name in sys.modules]; sys.exit(f'{code} {heavy}')"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.splitlines()[-1] == f"{code} []"


def test_ctrl_c_while_a_command_is_loading(run, monkeypatch):
    class Interrupted:
        def find_spec(self, name, path, target=None):
            if name == "apps.run_command":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "apps.run_command", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    assert run("run", "clip.mp4", "--out", "o") == (130, "", ["streamvos: error: interrupted"])


def test_options_offer_what_the_layers_below_have():
    assert run_options.STAGES == STAGES and RUNNERS.names() == run_options.RUNNERS and run_options.DEVICES == DEVICES


@pytest.mark.parametrize("arguments", [("models", "list"), ("eval", "davis", "--help")], ids=str)
def test_debug_is_an_option_of_every_command(run, arguments):
    assert run(*arguments, "--debug")[0] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--stages", "detect,segmnt"), "unknown value of stages 'segmnt'; did you mean 'segment'"),
        (("--stages", ","), "at least one of"),
        (("--stages", "segment"), "nothing to follow: give prompts (--prompts, --first-mask, --box or --point)"),
        (("--stages", "detect", "--box", "1:2,2,30,30"), "need the segment stage"),
        (("--no-discover",), "or let it discover objects (--discover)"),
        (("--size", "8"), "at least 64"),
        (("--max-frames", "0"), "max_frames: expected at least 1"),
        (("--detect-every", "0"), "detect.every: expected a whole number of at least 1"),
        (("--checkpoint-every", "0"), "--checkpoint-every: expected at least 1"),
        (("--box", "1:2,2"), "expected id:x1,y1,x2,y2"),
        (("--box", "1:200,2,230,9"), "lies outside the frame of 64x48"),
        (("--box", "1:0,0,inf,50"), "--box '1:0,0,inf,50': expected id:x1,y1,x2,y2"),
        (("--box", "1:9,9,2,30"), "--box '1:9,9,2,30': Prompt.box: expected x1 < x2"),
        (("--box", "1:2,2,30,30", "--box", "1:3,3,30,30"), "two prompts for object 1 at frame 0"),
        (("--config", "."), "config file . cannot be read"),
        (("--overwrite", "--resume"), "--overwrite and --resume exclude each other"),
        (("--config", "none.toml"), "does not exist"),
        (("--prompts", "none.json"), "cannot be read"),
        (("--first-mask", "none.png"), "does not exist"),
        (("--runner", "ray", "--address", "127.0.0.1:9"), "no Ray cluster answers at '127.0.0.1:9'"),
        (("--runner", "ray", "--address", "127.0.0.1:9"), "leave out --address to start one here"),
        (("--runner", "ray", "--address", "nowhere"), "expected HOST:PORT"),
        (("--profile", "hub"), "streamvos models fetch sam-hq-vit-tiny"),
    ],
)
def test_bad_options(error_of, make_video, monkeypatch, tmp_path, options, message):
    monkeypatch.setenv("STREAMVOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    assert message in error_of(make_video("clip.mp4", 3), *options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size = ", "not valid TOML"),
        ("sice = 3", "unknown setting 'sice'; did you mean 'size'"),
        ("[detect]\nevery = 'x'", "setting detect.every: expected a whole number of at least 1, got 'x'"),
        ("output = 3", "setting output: expected a table"),
        ("[output]\nmask = true", "did you mean 'output.masks'"),
        ("[output]\noverlay_preset = 'veryfats'", "did you mean 'veryfast'"),
        ("[output]\noverlay_crf = 60", "output.overlay_crf: expected a whole number from 0 to 51, got 60"),
        ("[output]\nqueue_frames = 0", "output.queue_frames: expected a whole number of at least 1"),
        ("[output]\nsegment_frames = -1", "output.segment_frames: expected a whole number of at least 1"),
        ("[source]\nprefetch_frames = 0", "source.prefetch_frames: expected a whole number of at least 1"),
        ("[source]\ndecode_threads = -1", "source.decode_threads: expected a whole number of at least 0"),
        ("[source]\nread_timeout_s = 0", "source.read_timeout_s: expected a number above 0"),
        ("[source]\nimage_rate = 'fast'", "source.image_rate: expected a positive rate"),
        ("[detect]\nnms = nan", "detect.nms: expected a number above 0 and at most 1"),
        ("[detect]\nclasses = ['dgo']", "did you mean 'dog'"),
        ("[shots]\nenabled = 3", "shots.enabled: expected true or false"),
        ("[reconstruct]\nsemi_dense = -1", "reconstruct.semi_dense: expected a whole number of at least 0"),
    ],
)
def test_bad_config_files(error_of, make_video, tmp_path, text, message):
    (tmp_path / "config.toml").write_text(text)
    assert message in error_of(make_video("clip.mp4", 3), "--config", tmp_path / "config.toml")
    assert not (tmp_path / "out").exists()


def no_file(path):
    return path / "none.mp4"


def text_named_mp4(path):
    (path / "text.mp4").write_text("this is not a video " * 50)
    return path / "text.mp4"


def empty_file(path):
    (path / "empty.mp4").write_bytes(b"")
    return path / "empty.mp4"


def empty_folder(path):
    (path / "folder").mkdir()
    return path / "folder"


def mixed_sizes(path):
    save(path / "mixed/0.png", (48, 64, 3))
    save(path / "mixed/1.png", (48, 66, 3))
    return path / "mixed"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_file, "none.mp4' does not exist"),
        (text_named_mp4, "text.mp4"),
        (empty_file, "empty.mp4' is empty"),
        (empty_folder, "folder"),
        (mixed_sizes, "1.png"),
    ],
)
def test_bad_sources(error_of, tmp_path, make, message):
    assert message in error_of(make(tmp_path))
    assert not list((tmp_path / "out").glob("*"))


def test_truncated_mp4(error_of, make_video, tmp_path):
    whole = make_video("whole.mp4", 20).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    assert "cut.mp4" in error_of(tmp_path / "cut.mp4")
    assert not (tmp_path / "out/cut").exists()


def test_truncated_mp4_with_its_index_in_front_gives_what_it_has(run, make_video, tmp_path):
    whole = make_video("whole.mp4", 30, flags="faststart").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 3 // 4])
    code, out, lines = run("run", tmp_path / "cut.mp4", "--out", tmp_path / "out", "--stages", "reconstruct", *FAST)
    assert code == 0 and "cut: complete" in out
    assert len(lines) == 1 and lines[0].startswith("streamvos: warning: ")
    report = json.loads((tmp_path / "out/cut/run.json").read_text())
    assert 0 < report["counts"]["frames"] < 30 and "truncated?" in report["warnings"][0]


@pytest.mark.parametrize(
    ("name", "shape", "num_frames"),
    [("grey", (48, 64), 3), ("rgba", (48, 64, 4), 3), ("odd", (49, 65, 3), 3), ("one", (48, 64, 3), 1)],
)
def test_unusual_pictures_run(run, tmp_path, name, shape, num_frames):
    for index in range(num_frames):
        save(tmp_path / name / f"{index}.png", shape)
    code, out, lines = run("run", tmp_path / name, "--out", tmp_path / "out", *FAST)
    assert (code, lines) == (0, [])
    assert f"{name}: complete, {num_frames} frames" in out
    assert len(list((tmp_path / "out" / name / "masks").glob("*.png"))) == num_frames


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"prompts": [{"frame": 0, "object": 0, "box": [1, 1, 9, 9]}]}, "at least 1, got 0"),
        (
            {"prompts": [{"frame": 0, "object": 1, "box": [1, 1, 9, 9]}], "removals": [{"frame": 1, "object": 4}]},
            "names object 4",
        ),
    ],
    ids=["id 0", "unknown id"],
)
def test_bad_ids_in_prompts(error_of, make_video, tmp_path, data, message):
    (tmp_path / "prompts.json").write_text(json.dumps(data))
    assert message in error_of(make_video("clip.mp4", 3), "--prompts", tmp_path / "prompts.json")


def late_prompt(tmp_path):
    path = tmp_path / "late.json"
    boxes = [{"frame": frame, "object": frame + 1, "box": [1, 1, 30, 30]} for frame in (0, 3)]
    path.write_text(json.dumps({"prompts": boxes}))
    return path


def test_a_prompt_after_the_last_picture(error_of, tmp_path):
    for index in range(3):
        save(tmp_path / f"pictures/{index}.png", (48, 64, 3))
    assert "at frame 3: the source has 3 frames" in error_of(tmp_path / "pictures", "--prompts", late_prompt(tmp_path))
    assert not (tmp_path / "out/pictures").exists()


def test_a_prompt_after_the_end_of_a_video_is_a_warning(run, make_video, tmp_path):
    options = ("--prompts", late_prompt(tmp_path), "--stages", "segment", "--out", tmp_path / "out", *FAST)
    code, _, lines = run("run", make_video("clip.mp4", 3), *options)
    assert code == 0
    assert lines == ["streamvos: warning: never used, the source ended before: prompt for object 4 at frame 3"]
    assert "object 4 at frame 3" in json.loads((tmp_path / "out/clip/run.json").read_text())["warnings"][0]


@pytest.mark.parametrize(
    ("arguments", "message"), [(("clip.mp4", "--out", ""), "--out: expected"), (("", "--out", "o"), "SOURCE: expected")]
)
def test_empty_texts(run, arguments, message):
    code, out, lines = run("run", *arguments)
    assert (code, out, len(lines)) == (2, "", 1) and message in lines[0]


def test_mask_of_the_wrong_size(error_of, make_video, tmp_path):
    mask = save(tmp_path / "mask.png", (30, 30), 1)
    assert "64x48; got 30x30" in error_of(make_video("clip.mp4", 3), "--first-mask", mask)
    assert not (tmp_path / "out/clip").exists()


def test_existing_output_folder(run, error_of, make_video, tmp_path):
    clip = make_video("clip.mp4", 3)
    mine = tmp_path / "out/clip/mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert "is not empty" in error_of(clip)
    assert "holds no run.json" in error_of(clip, "--overwrite")
    assert mine.read_text() == "mine"


def test_overwrite_and_resume_of_a_complete_run(run, error_of, make_video, tmp_path):
    clip = make_video("clip.mp4", 3)
    options = ("--out", tmp_path / "out", "--stages", "detect,remember", *FAST)
    assert run("run", clip, *options)[0] == 0
    assert "is not empty; go on with --resume, or replace it with --overwrite" in error_of(clip)
    code, out, lines = run("run", clip, *options, "--resume")
    assert (code, lines) == (0, []) and "clip: complete already, 3 frames" in out
    error = error_of(clip, *options[2:4], "--resume", "--max-frames", "2")
    assert "max_frames was none, now 2" in error and error.endswith("start anew with --overwrite")
    assert "stages was detect,remember, now detect;" in error_of(clip, "--stages", "detect", "--resume", "--seed", "3")
    code, out, lines = run("run", clip, *options, "--overwrite")
    assert (code, lines) == (0, []) and "clip: complete, 3 frames" in out


def test_no_space_left(error_of, make_video, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(result_files.ResultFiles, "write", full)
    assert "go on with --resume" in error_of(make_video("clip.mp4", 8), "--stages", "reconstruct", code=1)
    assert json.loads((tmp_path / "out/clip/run.json").read_text())["status"] == "failed"


def test_a_failure_of_ours_is_one_line_too(run, make_video, monkeypatch, tmp_path):
    def broken(*_):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("pipelines.shots.ShotStage.step", broken)
    code, _, lines = run("run", make_video("clip.mp4", 3), "--out", tmp_path / "out", *FAST)
    assert code == 1
    assert lines == ["streamvos: error: ZeroDivisionError: oh (--debug shows where)"]


def test_one_bad_source_among_several(run, make_video, tmp_path):
    first, second = make_video("a.mp4", 3), make_video("b.mp4", 3)
    options = ("--out", tmp_path / "out", "--stages", "detect,remember", *FAST)
    code, out, lines = run("run", first, tmp_path / "none.mp4", second, first, *options)
    assert code == 1
    assert len(lines) == 1 and "none.mp4' does not exist" in lines[0]
    assert [line.split(":")[0] for line in out.splitlines() if "complete" in line] == ["a", "b", "a-2"]
    code, _, lines = run("ask", tmp_path / "out", "what was seen?")
    assert code == 2 and len(lines) == 1 and "holds 3 runs" in lines[0] and "a-2" in lines[0]


def test_progress_goes_to_stderr(make_video, tmp_path, capsys):
    options = [option for option in FAST if option != "--quiet"]
    assert main(["run", str(make_video("clip.mp4", 5)), "--out", str(tmp_path / "out"), *options]) == 0
    captured = capsys.readouterr()
    assert "clip: 100%" in captured.err and "5/5" in captured.err
    assert "frame/s" in captured.err and "objects=0" in captured.err
    assert "%" not in captured.out


def test_ask(run, make_video, tmp_path):
    options = ("--out", tmp_path / "out", *FAST)
    assert run("run", make_video("clip.mp4", 5), *options, "--stages", "detect,remember")[0] == 0
    for folder in (tmp_path / "out", tmp_path / "out/clip"):
        code, out, lines = run("ask", folder, "was there a dog?")
        assert (code, lines) == (0, []) and "confidence" in out
    code, out, _ = run("ask", tmp_path / "out", "how many shots were there?", "--json", "--as-of", "0.1")
    assert code == 0 and json.loads(out)["outcome"] == "answered"
    code, _, lines = run("ask", tmp_path / "out", " ")
    assert code == 2 and len(lines) == 1


def test_ask_without_a_memory(run, make_video, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, lines = run("ask", tmp_path / "empty", "what was seen?")
    assert code == 2 and "holds no run" in lines[0]
    options = ("--out", tmp_path / "out", *FAST)
    assert run("run", make_video("clip.mp4", 2), *options, "--stages", "detect")[0] == 0
    code, _, lines = run("ask", tmp_path / "out", "what was seen?")
    assert code == 2 and "remember stage" in lines[0]
