import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamvos.errors import InputError
from streamvos.video.names import natural_sorted, printable, spelled_out
from streamvos.video.sources import open_source


def save(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(path)
    return path


def values(spec) -> list[int]:
    with open_source(spec) as source:
        return [int(frame.image[0, 0, 0]) for frame in source]


@pytest.mark.parametrize(
    "names",
    [
        ["frame1", "frame2", "frame10"],
        ["1", "002", "03", "10"],
        ["01", "1", "2"],
        ["1²1", "1²2", "1²10"],
        ["0.04", "0.125", "0.2", "0.25", "1.5", "10.0"],  # seconds
        ["t0.05", "t0.5"],
        ["1305031102.175304", "1305031102.211214"],
        ["v1.8", "v1.9", "v1.10", "v1.20"],  # versions
        ["1.2.3", "1.2.10"],
        ["clip9 (2)", "clip10 (1)"],
        ["12-59-59", "13-00-01"],
    ],
    ids=lambda names: names[0],
)
def test_natural_order(names):
    paths = [Path("shots") / f"{name}.png" for name in names]
    assert natural_sorted(reversed(paths)) == paths


def test_hidden_and_foreign_files_are_left_out(tmp_path):
    save(tmp_path / "a" / "1.png", 1)
    save(tmp_path / "a" / "2.png", 2)
    (tmp_path / "a" / "._1.png").write_bytes(b"\0\5\x16\7Mac OS X")
    for folder in ("__MACOSX", "@eaDir", ".thumbnails"):
        save(tmp_path / "a" / folder / "0.png", 9)
    assert values(tmp_path / "a") == values(f"{tmp_path}/a/*.png") == values(f"{tmp_path}/**/*.png") == [1, 2]
    assert values(f"{tmp_path}/a/__MACOSX/*.png") == [9]  # named by the user


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("frame%d.png", [1, 2, 10]),
        ("frame%02d.png", [10]),
        ("clip [v2]/*.png", [5]),
        ("clip [v2]/frame%d.png", [5]),
        ("frame[12].png", [1, 2]),
        ("100%%/%d.png", [7]),
        ("*/frame5.png", [5]),
    ],
)
def test_patterns(tmp_path, pattern, expected):
    for number in (1, 2, 10):
        save(tmp_path / f"frame{number}.png", number)
    save(tmp_path / "xframe3.png", 3)
    save(tmp_path / "clip [v2]" / "frame5.png", 5)
    save(tmp_path / "100%" / "3.png", 7)
    assert values(f"{tmp_path}/{pattern}") == expected


def test_what_exists_is_that_whatever_its_name_looks_like(tmp_path, monkeypatch, make_numbered):
    make_numbered("cam:front.mp4", range(3))
    make_numbered("frame%d.mp4", range(4))
    save(tmp_path / "0001" / "1.png", 1)
    save(tmp_path / "a[1].png", 8)
    monkeypatch.chdir(tmp_path)
    for spec, count in (("cam:front.mp4", 3), ("frame%d.mp4", 4), ("0001", 1), ("a[1].png", 1)):
        with open_source(spec) as source:
            assert len(list(source)) == count
    with pytest.raises(InputError, match="scheme 'cam' are not opened"):
        open_source("cam:back.mp4")
    with pytest.raises(InputError, match="camera 77 cannot be opened.*called by a number"):
        open_source("0077")
    with pytest.raises(InputError, match="no camera has the number 20250101123000"):
        open_source("20250101123000")


def test_names_that_are_not_utf_8(tmp_path, make_numbered):
    try:
        path = make_numbered("plain.mp4", range(3)).rename(Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.mp4")))
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    with open_source(path) as source:
        assert len(list(source)) == 3
        source.info.location.encode()
        assert source.info.name == "caf"
    with open_source(save(Path(os.fsdecode(bytes(tmp_path) + b"/\xe9/1.png"))).parent) as source:
        source.info.location.encode()
    assert printable("plain é") == "plain é"


def test_a_pattern_that_the_shell_replaced_is_noticed(tmp_path):
    names = [str(save(tmp_path / f"{number}.png")) for number in range(3)]
    assert spelled_out(names) == str(tmp_path)
    assert spelled_out(names[:1]) is None
    assert spelled_out([*names, "clip.mp4"]) is None
    assert spelled_out([names[0], str(save(tmp_path / "other" / "1.png"))]) is None
