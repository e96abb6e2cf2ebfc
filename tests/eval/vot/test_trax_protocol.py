"""TraX: messages as the reference library writes them, and a conversation."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.running.trackers import CopyFirstMask
from eval.vot.trax_protocol import Message, format_message, parse_messages, serve
from streamvos.errors import InputError


def conversation(text: str) -> list[Message]:
    sink = io.StringIO()
    serve(io.StringIO(text), sink, CopyFirstMask())
    return list(parse_messages(io.StringIO(sink.getvalue())))


def picture(folder: Path, name: str = "a b.png") -> str:
    Image.fromarray(np.full((16, 20, 3), 70, np.uint8)).save(folder / name)
    return f"file://{folder / name}"


def test_objects_are_added_at_any_frame_and_answered_in_order(tmp_path: Path) -> None:
    image = picture(tmp_path)
    text = (
        f'@@TRAX:initialize "mask:2,3,4,4,0,16" \n@@TRAX:initialize "mask:10,8,3,3,0,9" "key=value" \n'
        f'@@TRAX:frame "{image}" \nsome other output\n@@TRAX:frame "{image}" \n'
        f'@@TRAX:initialize "mask:0,0,2,2,0,4" \n@@TRAX:frame "{image}" \n@@TRAX:quit \n'
    )
    said = conversation(text)
    assert said[0].name == "hello"
    assert {"trax.version=4", "trax.region=mask;", "trax.multiobject=1", "trax.image=path;"} <= set(said[0].arguments)
    first, second, third = "mask:2,3,4,4,0,16", "mask:10,8,3,3,0,9", "mask:0,0,2,2,0,4"
    states = [message.arguments[0] for message in said[1:]]
    assert states == [first, second, first, second, first, second, third]


def test_an_object_without_pixels(tmp_path: Path) -> None:
    said = conversation(f'@@TRAX:initialize "mask:0,0,0,0,0" \n@@TRAX:frame "{picture(tmp_path)}" \n@@TRAX:quit \n')
    assert said[1] == Message("state", ("mask:0,0,1,1,1",))


@pytest.mark.parametrize("text", ['a "b" c', "back\\slash", "x=1 2", "two\nlines"])
def test_arguments_survive_the_wire(text: str) -> None:
    line = format_message(Message("state", (text, "plain")))
    assert line.count("\n") == 1
    assert list(parse_messages(io.StringIO(line))) == [Message("state", (text, "plain"))]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("@@TRAX:dance \n", "expected initialize, frame or quit"),
        ('@@TRAX:initialize "1,2,3,4" \n', "initialize with one mask"),
        ('@@TRAX:frame "http://nowhere/a.jpg" \n', "frame with one picture"),
    ],
    ids=["unknown", "rectangle", "url"],
)
def test_the_client_is_told_why_we_stop(text: str, words: str) -> None:
    sink = io.StringIO()
    with pytest.raises(InputError, match=words):
        serve(io.StringIO(text), sink, CopyFirstMask())
    last = list(parse_messages(io.StringIO(sink.getvalue())))[-1]
    assert last.name == "quit" and words in last.arguments[0]


def test_the_program_speaks_on_its_standard_streams(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"method": "copy"}')
    words = [sys.executable, "-m", "eval.vot.tracker", "--protocol", "trax", "--settings", tmp_path / "settings.json"]
    text = f'@@TRAX:initialize "mask:2,3,4,4,0,16" \n@@TRAX:frame "{picture(tmp_path)}" \n@@TRAX:quit \n'
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(words, input=text, capture_output=True, text=True, cwd=root, timeout=120)
    assert done.returncode == 0 and done.stderr == ""
    assert [message.name for message in parse_messages(io.StringIO(done.stdout))] == ["hello", "state"]
    assert all(line.startswith("@@TRAX:") for line in done.stdout.splitlines())
