"""Every command and every Python example of the README runs as it is written there."""

import json
import os
import re
import shlex
from pathlib import Path

import pytest

from apps.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


COMMANDS = [
    line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines() if line.startswith("streamvos ")
]
ON_THE_SAMPLE = [command for command in COMMANDS if "$" not in command]
ON_DAVIS = [command for command in COMMANDS if "$DAVIS" in command]
ON_SCENE = [command for command in COMMANDS if "$SCENE" in command]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def test_the_readme_has_commands() -> None:
    assert len(ON_THE_SAMPLE) >= 8 and len(ON_DAVIS) == len(ON_SCENE) == 1
    assert blocks("python") and blocks("json")


@pytest.mark.parametrize("command", ON_THE_SAMPLE)
def test_command(command: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order: what one command writes, the next one reads."""
    monkeypatch.chdir(workplace)
    assert main(shlex.split(command)[1:]) == 0


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


@pytest.mark.parametrize("code", blocks("python"), ids=["run", "step"])
def test_python(code: str) -> None:
    scope: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), scope)
    result = scope["result"]
    assert result.frame_index > 0 and result.masks is not None


def test_json_is_a_prompts_file(tmp_path: Path) -> None:
    from PIL import Image

    from pipelines.prompts import read_prompts

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


def test_the_numbers_are_those_of_the_saved_results() -> None:
    def rows(name: str) -> list[dict[str, float]]:
        return json.loads((ROOT / "eval" / "results" / f"{name}.json").read_text())["rows"]

    for title, name, sequence in (
        ("embedded tracker", "davis2016-embedded", "mean"),
        ("embedded tracker, `--size 480`", "davis2016-embedded-480", "mean"),
        ("copy of the first mask", "davis2016-embedded", "mean, copy of the first mask"),
    ):
        row = {row["sequence"]: row for row in rows(name)}[sequence]
        numbers = " | ".join(f"{row[column]:.1f}" for column in ("J&F", "J mean", "F mean"))
        assert f"| {title} | {numbers} |" in README
    for row in rows("trajectory-7scenes"):
        assert f" {row['ATE, cm']:.2f} | {row['RPE, mm']:.1f} |" in README
    speed = {row["stage"]: row for row in rows("bench-pipeline")}["all"]
    assert f"| one process | {speed['local frames/s']:.1f} |" in README
    assert f"| Ray | {speed['ray frames/s']:.1f} |" in README
    for row in rows("bench-memory"):
        assert f"| {row['frames']:,} | {row['peak MiB']:,.0f} |" in README
