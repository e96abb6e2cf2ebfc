"""Every command and every Python example of the README runs as it is written there."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from apps.cli import main
from eval.commands.report import BEGIN, END, report_rows
from eval.reporting.results import markdown_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


COMMANDS = [
    line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines() if line.startswith("streamvos ")
]
ON_DAVIS = [command for command in COMMANDS if "$DAVIS" in command]
ON_COMPOSED = [command for command in COMMANDS if "composed" in command]
ON_SCENE = [command for command in COMMANDS if "$SCENE" in command and command not in ON_COMPOSED]
SERVERS = [command for command in COMMANDS if command.startswith("streamvos demo")]
ON_THE_SAMPLE = [command for command in COMMANDS if command not in {*ON_DAVIS, *ON_COMPOSED, *ON_SCENE, *SERVERS}]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def test_the_readme_has_commands() -> None:
    assert len(ON_THE_SAMPLE) >= 8 and len(ON_DAVIS) == len(ON_SCENE) == 1 and len(ON_COMPOSED) == 2
    assert blocks("python") and blocks("json")


@pytest.mark.parametrize("command", ON_THE_SAMPLE)
def test_command(command: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order: what one command writes, the next one reads."""
    monkeypatch.chdir(workplace)
    assert main(shlex.split(command)[1:]) == 0


@pytest.mark.parametrize("command", SERVERS)
def test_server(command: str, tmp_path: Path) -> None:
    """It says where it is, serves its page there, and ends well on Ctrl-C."""
    words = [sys.executable, "-m", "apps.cli", *shlex.split(command)[1:], "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline()).group()
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert b"StreamVOS" in answer.read()
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 0
        finally:
            server.kill()


@pytest.mark.parametrize("command", ON_DAVIS)
def test_davis_command(
    command: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("JPEGImages", "Annotations"):  # a few frames are enough to see that it runs
        source = data_dir / "davis2016" / kind / "480p" / "libby"
        target = tmp_path / kind / "480p" / "libby"
        target.mkdir(parents=True)
        for path in sorted(source.iterdir())[:6]:
            os.symlink(path, target / path.name)
    monkeypatch.chdir(tmp_path)
    assert main([str(tmp_path) if word == "$DAVIS" else word for word in shlex.split(command)[1:]]) == 0
    table = capsys.readouterr().out
    assert "libby" in table and "copy of the first mask" in table


@pytest.mark.parametrize("command", ON_SCENE)
def test_scene_command(command: str, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = str(data_dir / "7scenes")
    assert main([scene if word == "$SCENE" else word for word in shlex.split(command)[1:]]) == 0
    header, _, *rows = ([cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines())
    ate_cm = {row[header.index("input")]: float(row[header.index("ATE, cm")]) for row in rows}
    assert ate_cm["colour and depth"] < 2  # a camera taken to rest would be off by 8


def test_composed_commands(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In order: what is composed is scored."""
    folders = {"$SCENE": str(data_dir / "7scenes"), "$CUTOUTS": str(data_dir / "coco128-seg")}
    monkeypatch.chdir(tmp_path)
    for command in ON_COMPOSED:
        assert main([folders.get(word, word) for word in shlex.split(command)[1:]]) == 0
    assert "short-00" in capsys.readouterr().out


@pytest.mark.parametrize("code", blocks("python"), ids=["run", "step"])
def test_python(code: str) -> None:
    scope: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), scope)
    result = scope["result"]
    assert result.frame_index > 0 and result.masks is not None


def test_json_is_a_prompts_file(tmp_path: Path) -> None:
    from PIL import Image

    from apps.prompt_files import read_prompts

    Image.new("L", (640, 272), 255).save(tmp_path / "third.png")
    path = tmp_path / "prompts.json"
    path.write_text(blocks("json")[0])
    read = read_prompts(path)
    assert len(json.loads(path.read_text())["prompts"]) == 3 and read


def test_nothing_is_left_open_and_every_link_leads_somewhere() -> None:
    assert not re.search(r"@[A-Z]+@", README)
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) >= 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_table_is_that_of_the_saved_results() -> None:
    page = ROOT / "docs" / "results.md"
    written = page.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip()
    assert written == markdown_table(report_rows(ROOT / "eval" / "results", page)).strip()
