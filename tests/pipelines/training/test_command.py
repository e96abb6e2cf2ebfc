"""What the commands that train have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines.training import command
from pipelines.training.loop import LoopConfig
from streamvos.models.feature_net import FeatureNet, Maps


class Nothing(FeatureNet):
    NAME = "nothing"

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(3))


class Seen:
    """A task that pulls the weights to 0 and knows what features look like."""

    def statistics(self) -> Maps:
        return torch.full((2, 24, 4, 4), 3.0), torch.ones(2, 40, 2, 2), torch.ones(2, 112, 1, 1)

    def batch(self, step: int) -> None:
        return None

    def loss(self, net: Nothing, batch: None, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        return net.weight.square().sum(), {}

    def validate(self, net: Nothing) -> dict[str, float]:
        return {}


def test_pictures_are_apart_and_a_source_that_is_given_again_counts_again(folders: list[str]) -> None:
    coco = folders[3]
    given = command.options("m", "Trains.").parse_args([*folders, "--source", coco, "--source", coco])
    sets = command.read_pictures(given, 100)
    assert len(sets.learned) == 14 + 3 * 14 and set(sets.validation) == {"held_out"}
    assert len(sets.validation["held_out"]) == 2 + 2  # every tenth of 16
    learned, held_out = ({one.path for one in some} for some in (sets.learned, sets.validation["held_out"]))
    assert len(learned) == 28 and len(held_out) == 4 and not learned & held_out


def test_horses_are_for_validation_only(folders: list[str], tmp_path: Path) -> None:
    given = command.options("m", "Trains.").parse_args([*folders, "--horses", str(tmp_path / "horses")])
    sets = command.read_pictures(given, 100)
    assert len(sets.validation["horses"]) == 16
    assert not any((tmp_path / "horses") in one.path.parents for one in sets.learned)


def test_the_loop_gets_what_the_options_say(folders: list[str], tmp_path: Path) -> None:
    options = ["--steps", "2", "--rate", "0.5", "--seed", "4", "--validate-every", "7"]
    given = command.options("m", "Trains.").parse_args([*folders, *options])
    command.learn(Nothing, Seen(), given)
    state = torch.load(tmp_path / "out/checkpoint.pt", weights_only=True)
    expected = {"steps": 2, "learning_rate": 0.5, "seed": 4, "validate_every": 7, "minutes": LoopConfig.minutes}
    assert expected.items() <= state["config"].items() and state["step"] == 2
    assert (state["net"]["mean"][:24] == 3.0).all() and (state["net"]["mean"][24:] == 1.0).all()


def test_weights_may_be_the_first(folders: list[str], tmp_path: Path) -> None:
    first = Nothing()
    first.set_statistics(*Seen().statistics())
    save_file(first.state_dict(), tmp_path / "first.safetensors")
    options = ["--init", str(tmp_path / "first.safetensors"), "--steps", "1", "--rate", "1e-9", "--average", "0.5"]
    command.learn(Nothing, Seen(), command.options("m", "Trains.").parse_args([*folders, *options]))
    state = torch.load(tmp_path / "out/checkpoint.pt", weights_only=True)
    torch.testing.assert_close(state["net"]["weight"], first.weight.detach())
    assert torch.equal(state["net"]["mean"], first.mean) and state["config"]["average"] == 0.5


def test_first_weights_depend_on_the_seed_alone(folders: list[str], tmp_path: Path) -> None:
    found = []
    for index, seed in enumerate(("1", "1", "2")):
        out = str(tmp_path / f"out{index}")
        torch.manual_seed(index)
        given = command.options("m", "Trains.").parse_args([*folders, "--out", out, "--steps", "1", "--seed", seed])
        command.learn(Nothing, Seen(), given)
        found.append(torch.load(Path(out) / "checkpoint.pt", weights_only=True)["net"]["weight"])
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_threads_and_device_are_taken(folders: list[str]) -> None:
    before = torch.get_num_threads()
    try:
        given = command.options("m", "Trains.").parse_args([*folders, "--threads", "1", "--device", "cpu"])
        assert command.set_up(given) == torch.device("cpu") and torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_folders_are_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.options("pipelines.training.nothing", "Trains nothing.\n\nMore.").parse_args([])
    message = capsys.readouterr().err
    assert "python -m pipelines.training.nothing: error: " in message and "--source, --out" in message
