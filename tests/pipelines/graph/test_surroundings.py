"""Where it runs: packages of the user's own, folders that Ray cannot use, processes that were forked."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pipelines.graph.ray_cluster import Cluster
from streamvos.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
SESSION = """
    import numpy as np
    from streamvos import Prompt, Session

    def session(runner):
        made = Session(stages=("segment",), discover=False, size=96, runner=runner, threads=1, device="cpu")
        made.add(Prompt(0, 1, box=np.array([20, 20, 60, 60], np.float32)))
        return made

    image = np.random.default_rng(0).integers(0, 255, (96, 160, 3)).astype(np.uint8)
"""


def python(code: str, folder: Path, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    script = folder / "script_of_the_user.py"
    script.write_text(textwrap.dedent(SESSION) + textwrap.dedent(code))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-P", script]  # the script itself finds ours, as the installed command does
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout)


def test_packages_of_the_user_are_not_taken_for_ours(tmp_path):
    for name in ("pipelines", "memory_bank", "eval"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('of the user')\n")
    (tmp_path / "streamvos.py").write_text("raise RuntimeError('of the user')\n")
    code = """
        if __name__ == "__main__":
            with session("ray") as made:
                print(made.step(image, 0.0).masks.states)
    """
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr[-500:]
    assert "tracked" in done.stdout


@pytest.mark.parametrize(
    "name_parts", [("a_folder_for_temporary_files",) * 4, ()], ids=["name too long", "cannot be written"]
)
def test_folders_that_ray_cannot_use_are_told(tmp_path, monkeypatch, name_parts):
    place = tmp_path.joinpath(*name_parts)
    if name_parts:
        place.mkdir(parents=True)
    else:
        place = tmp_path / "a file"
        place.write_text("")
    monkeypatch.setenv("RAY_TMPDIR", str(place))
    with pytest.raises(InputError, match="Ray cannot start here .*set RAY_TMPDIR .*HOME .*runner='local'") as caught:
        Cluster().start()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("what", ["new", "carried over"])
def test_a_fork_after_a_session_is_refused(tmp_path, what):
    code = f"""
        import os
        with session("local") as made:
            made.step(image, 0.0)
            if os.fork() == 0:
                try:
                    (session("local") if {what == "new"} else made).step(image, 1.0)
                except ValueError as error:
                    print(error, flush=True)
                os._exit(0)
            os.wait()
            print(made.step(image, 1.0).frame_index)
    """
    done = python(code, tmp_path, timeout=200)
    assert done.returncode == 0, done.stderr[-500:]
    told, index = done.stdout.splitlines()
    assert "spawn" in told and index == "1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_before_the_first_session_is_fine(tmp_path):
    code = """
        import os
        if os.fork() == 0:
            with session("local") as made:
                print(made.step(image, 0.0).frame_index, flush=True)
            os._exit(0)
        os.wait()
    """
    assert python(code, tmp_path, timeout=200).stdout == "0\n"
