import pytest

from apps.cli import main
from eval.cli import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_evaluation_that_is_offered_has_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", name, "--help"]) == 0
    assert f"streamvos eval {name} [-h]" in capsys.readouterr().out


def test_an_unknown_evaluation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "davsi"]) == 2
    assert "invalid choice: 'davsi'" in capsys.readouterr().err
