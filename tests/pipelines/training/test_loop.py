"""The training loop: it learns, goes on exactly after an interruption, and writes what it learned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pipelines.training.loop import LoopConfig, learning_rate, train
from streamvos.errors import InputError

CONFIG = LoopConfig(steps=12, warm_up_steps=2, validate_every=4)


class Line:
    """Learn y = 3 x + 1 from points that depend on the step alone."""

    def __init__(self) -> None:
        self.validated: list[float] = []

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.randn(16, 1, generator=torch.Generator().manual_seed(step))
        return x, 3 * x + 1

    def loss(self, net: nn.Module, batch: tuple[torch.Tensor, torch.Tensor], step: int) -> tuple[torch.Tensor, Mapping]:
        x, y = batch
        return (net(x) - y).square().mean(), {"x": float(x.mean())}

    def validate(self, net: nn.Module) -> Mapping[str, float]:
        self.validated.append(float(net.weight.detach()))
        return {"weight": self.validated[-1]}


def fresh() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(1, 1)


def test_it_learns_and_writes_the_averaged_weights(tmp_path: Path) -> None:
    task = Line()
    net = train(fresh(), task, LoopConfig(steps=400, learning_rate=0.05, validate_every=100), tmp_path, resume=False)
    found = net.weight.item(), net.bias.item()
    assert found == pytest.approx((3.0, 1.0), abs=0.15)
    written = load_file(tmp_path / "weights.safetensors")
    assert torch.equal(written["weight"], net.weight) and len(task.validated) == 4
    kept = [load_file(tmp_path / f"validated-{step:06d}.safetensors")["weight"] for step in (100, 200, 300, 400)]
    assert [float(weight) for weight in kept] == task.validated


def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = train(fresh(), Line(), CONFIG, tmp_path / "whole", resume=False)
    short = LoopConfig(steps=12, warm_up_steps=2, validate_every=4, minutes=0.0)
    train(fresh(), Line(), short, tmp_path / "parts", resume=False)  # not one step: the time is up at once
    torch.manual_seed(99)

    class Interrupted(Line):
        def loss(self, net: nn.Module, batch: tuple, step: int) -> tuple[torch.Tensor, Mapping]:
            if step == 7:
                raise KeyboardInterrupt
            return super().loss(net, batch, step)

    often = LoopConfig(steps=12, warm_up_steps=2, validate_every=4, checkpoint_minutes=0.0)
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), Interrupted(), often, tmp_path / "parts", resume=True)
    net = nn.Linear(1, 1)  # other first weights: all that counts is in the checkpoint
    parts = train(net, Line(), CONFIG, tmp_path / "parts", resume=True)
    assert torch.equal(whole.weight, parts.weight) and torch.equal(whole.bias, parts.bias)
    states = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts")]
    assert states[0]["step"] == states[1]["step"] == 12
    for name, value in states[0]["net"].items():
        assert torch.equal(value, states[1]["net"][name])


def test_a_checkpoint_is_neither_overwritten_nor_invented(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="start with resume=False"):
        train(fresh(), Line(), CONFIG, tmp_path, resume=True)
    train(fresh(), Line(), CONFIG, tmp_path, resume=False)
    with pytest.raises(InputError, match="give resume=True to go on"):
        train(fresh(), Line(), CONFIG, tmp_path, resume=False)


def test_the_learning_rate_rises_then_falls() -> None:
    config = LoopConfig(steps=110, warm_up_steps=10, learning_rate=1.0)
    assert learning_rate(0, config) == pytest.approx(0.1) and learning_rate(9, config) == pytest.approx(1.0)
    assert learning_rate(60, config) == pytest.approx(0.01 + 0.99 / 2)
    assert learning_rate(110, config) == pytest.approx(0.01)


def test_a_step_without_a_finite_gradient_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Line):
        def loss(self, net: nn.Module, batch: tuple, step: int) -> tuple[torch.Tensor, Mapping]:
            loss, figures = super().loss(net, batch, step)
            return (loss * math.inf if step == 1 else loss), figures

    net = train(fresh(), Broken(), LoopConfig(steps=3, warm_up_steps=2), tmp_path, resume=False)
    assert "step 1: gradient is not finite, left out" in caplog.text
    assert all(torch.isfinite(value).all() for value in net.state_dict().values())


def test_minutes_add_up_over_runs(tmp_path: Path) -> None:
    ended = LoopConfig(steps=3, warm_up_steps=2)
    train(fresh(), Line(), ended, tmp_path, resume=False)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save({**state, "minutes": 60.0}, tmp_path / "checkpoint.pt")
    train(fresh(), Line(), ended, tmp_path, resume=True)
    again = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert 60.0 <= again["minutes"] < 61.0 and again["step"] == 3
    assert set(again) == {"net", "optimiser", "average", "step", "minutes", "config"}
