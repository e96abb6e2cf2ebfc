"""Small things that options are made of: times, points, lists of sources."""

from __future__ import annotations

import argparse
import io

import pytest

from apps.cli import make_parser
from apps.clock_times import parse_clock
from apps.export_command import FORMATS as OFFERED
from apps.point_options import pointed_at
from apps.prompt_files import parse_box
from apps.prompt_formats import WHICH
from apps.run_options import PROMPT_FRAMES
from apps.settings import graph_options, read_config
from apps.source_lists import expand_sources
from streamvos.errors import InputError
from streamvos.export.formats import FORMATS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90.5", 90.5), (".5", 0.5), ("1:30", 90), ("90:00", 5400), ("0:01:30.25", 90.25), ("2:00:00", 7200)],
)
def test_times(text, seconds):
    assert parse_clock(text, "--start") == seconds


@pytest.mark.parametrize("text", ["", "-1", "1:99", "1:60:00", "1e9", "nan", "1:2:3:4", "noon", "²"])
def test_what_is_no_time(text):
    with pytest.raises(InputError, match="--end: expected seconds or H:MM:SS, such as 90, 1:30"):
        parse_clock(text, "--end")


def test_points_of_one_object_are_one_prompt():
    first, second = pointed_at([], ["1:10,20", "2:5,6", "1: 30.5, 40, -", "1:1,2,+"])
    assert (first.frame_index, first.object_id) == (0, 1) and first.labels.tolist() == [True, False, True]
    assert first.points.tolist() == [[10, 20], [30.5, 40], [1, 2]] and second.points.tolist() == [[5, 6]]


def test_points_go_with_a_box():
    box, other = pointed_at([parse_box("1:0,0,50,50")], ["1:9,9,-", "2:5,6"])
    assert box.box.tolist() == [0, 0, 50, 50] and box.labels.tolist() == [False] and other.object_id == 2


@pytest.mark.parametrize(
    "text", ["1:10", "10,20", "1:10,20,x", "0:1,2", "1:nan,2", "a:1,2", "1:1,2,3,4", "1:1,2,4", "1:1,2,0", ""]
)
def test_wrong_points(text):
    with pytest.raises(InputError, match="expected id:x,y with an id of at least 1, such as 1:120,80"):
        pointed_at([], [text])


def test_the_second_thing_that_a_click_may_mean():
    first, second = pointed_at([], ["1:10,20,2", "2:5,6,1"])
    assert (first.choice, second.choice) == (1, 0) and first.labels.tolist() == [True]
    for points, boxes in ((["1:10,20,2", "1:5,6"], []), (["1:10,20,3"], [parse_box("1:0,0,50,50")])):
        with pytest.raises(InputError, match="only a single point without a box leaves a choice"):
            pointed_at(boxes, points)


def test_points_off_an_object_alone():
    with pytest.raises(InputError, match="--point 3: expected at least one point on the object"):
        pointed_at([], ["3:1,2,-"])


def test_lists_of_sources(tmp_path, monkeypatch):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/beside.mp4").touch()
    (tmp_path / "here.mp4").touch()
    (tmp_path / "lists/all.txt").write_bytes("\ufeff# mine\r\nhere.mp4\r\n\r\n  beside.mp4 \nrtsp://cam/1\n".encode())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("0\nsample:bikes\n"))
    got = expand_sources(["a.mp4", "lists/all.txt", "-"])
    assert got == ["a.mp4", "here.mp4", "lists/beside.mp4", "rtsp://cam/1", "0", "sample:bikes"]


@pytest.mark.parametrize(
    ("specs", "stdin", "message"),
    [
        (["-"], "# nothing\n", "list of sources stdin: expected a source on each line, got none"),
        (["bytes.txt"], "", "is not UTF-8 text"),
        ([" "], "", "SOURCE: expected a video"),
    ],
)
def test_wrong_lists(tmp_path, monkeypatch, specs, stdin, message):
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    with pytest.raises(InputError, match=message):
        expand_sources(specs)


def options(*words) -> argparse.Namespace:
    return make_parser().parse_args(["run", "clip.mp4", "--out", "o", *words])


def test_classes_and_scores():
    config, _ = read_config(None, graph_options(options("--classes", "dog, cat", "--min-score", "0.3")))
    assert config.graph.detect.classes == ("dog", "cat")
    scores = config.graph.scores
    assert (scores.detect, scores.start, scores.episodes) == (0.3, 0.3, 0.3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--classes", "dgo"), "did you mean 'dog'"),
        (("--classes", ","), "--classes: expected names such as dog,cat"),
        (("--min-score", "30"), "--min-score: expected 0 to 1, got 30"),
    ],
)
def test_wrong_classes_and_scores(words, message):
    with pytest.raises(InputError, match=message):
        read_config(None, graph_options(options(*words)))


def test_a_table_of_the_graph_as_run_json_nests_it(tmp_path):
    (tmp_path / "a.toml").write_text("[graph.detect]\nevery = 7\n[graph]\nsize = 128\n[detect]\nnms = 0.5\n")
    config, _ = read_config(tmp_path / "a.toml", graph_options(options()))
    assert (config.graph.detect.every, config.graph.detect.nms, config.graph.size) == (7, 0.5, 128)
    (tmp_path / "b.toml").write_text("[graph.detect]\nevry = 7\n")
    with pytest.raises(InputError, match="did you mean 'detect.every'"):
        read_config(tmp_path / "b.toml", {})


@pytest.mark.parametrize(
    ("words", "question", "as_json"),
    [
        (("how", "many", "dogs"), "how many dogs", False),
        (("how many dogs", "--json"), "how many dogs", True),
        (("--json", "how", "many", "dogs?"), "how many dogs?", True),
    ],
)
def test_a_question_needs_no_quotes(words, question, as_json):
    args = make_parser().parse_args(["ask", "run", *words])
    assert " ".join(args.question) == question and args.json is as_json


def test_options_offer_what_there_is():
    assert FORMATS.names() == OFFERED and PROMPT_FRAMES == WHICH


def test_a_source_of_a_list_may_have_any_length(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"{'x' * 70_000}\nfile\0.mp4\n")
    assert expand_sources([str(path)]) == ["x" * 70_000, "file\0.mp4"]
