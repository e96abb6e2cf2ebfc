"""The loop that trains a network: AdamW, warm-up and cosine, averaged weights, checkpoints that go on exactly.

What is learned lives in a `Task`: it makes the batch of a step from (seed, step) alone, so that a run that was
interrupted goes on with the very batches it would have seen.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save_file
from torch import nn

from streamvos.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast a network learns."""

    steps: int = 4000  # of the whole run; the learning rate falls to nearly 0 at its end
    learning_rate: float = 1e-3  # at its highest; larger learns faster until it diverges
    warm_up_steps: int = 100  # over which it rises; larger is safer at the start
    weight_decay: float = 1e-2  # larger keeps weights smaller
    max_gradient: float = 1.0  # norm; larger lets single hard batches push further
    average: float = 0.998  # of the averaged weights that are shipped; larger averages over more steps
    seed: int = 0  # of first weights and batches
    minutes: float = math.inf  # of this run; a checkpoint is left for the next
    checkpoint_minutes: float = 3.0  # between checkpoints; smaller loses less
    validate_every: int = 500  # steps between validations; smaller costs time


class Task(Protocol):
    """What is learned."""

    def batch(self, step: int) -> Any:
        """Examples of one step: the same for the same step, whatever went before. Runs beside the training."""

    def loss(self, net: nn.Module, batch: Any, step: int) -> tuple[torch.Tensor, Mapping[str, float]]:
        """A scalar to minimise and figures for the log."""

    def validate(self, net: nn.Module) -> Mapping[str, float]:
        """Figures on pictures set apart."""


def train(net: nn.Module, task: Task, config: LoopConfig, out: Path, resume: bool) -> nn.Module:
    """Train `net` in place; `out` gets `checkpoint.pt`, `weights.safetensors` (the averaged ones) and those that were
    validated as `validated-STEP.safetensors`, with the figures in their metadata: the last need not be the best.

    Returns:
        the network with the averaged weights.

    Raises:
        InputError: `resume` without a checkpoint, or a checkpoint there without `resume`.
    """
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(net, config, out)
    if run.checkpoint.exists() != resume:
        advice = "give resume=True to go on" if run.checkpoint.exists() else "start with resume=False"
        found = "is there already" if run.checkpoint.exists() else "not found"
        raise InputError(f"{run.checkpoint}: {found}; {advice}")
    if resume:
        run.restore()
    saved = time.monotonic()
    recent: deque[Mapping[str, float]] = deque(maxlen=20)
    with ThreadPoolExecutor(1) as beside:
        upcoming = beside.submit(task.batch, run.step)
        while run.step < config.steps and run.is_in_time():
            batch = upcoming.result()
            upcoming = beside.submit(task.batch, run.step + 1)
            recent.append(run.learn(task, batch))
            if run.step % recent.maxlen == 0:
                logger.info("step %d, %.1f min: %s", run.step, run.minutes(), _format(_means(recent)))
            if run.step % config.validate_every == 0:
                figures = _validate(net, run.average, task)
                logger.info("validation at step %d: %s", run.step, _format(figures))
                run.keep_validated(figures)
            if time.monotonic() - saved > 60 * config.checkpoint_minutes:
                run.save()
                saved = time.monotonic()
        run.save()
    net.load_state_dict(run.average)
    return net.eval()


class _Run:
    """A network while it learns: its optimiser, averaged weights, and how far it has come."""

    def __init__(self, net: nn.Module, config: LoopConfig, out: Path) -> None:
        self._net, self._config, self._out = net, config, out
        self._optimiser = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        self.average = {name: value.detach().clone() for name, value in net.state_dict().items()}
        self.step = 0
        self._minutes_before = 0.0  # of earlier runs
        self._started = time.monotonic()

    @property
    def checkpoint(self) -> Path:
        return self._out / "checkpoint.pt"

    def minutes(self) -> float:
        """Of training, earlier runs included."""
        return self._minutes_before + (time.monotonic() - self._started) / 60

    def is_in_time(self) -> bool:
        return time.monotonic() - self._started < 60 * self._config.minutes

    def restore(self) -> None:
        state = torch.load(self.checkpoint, map_location=next(self._net.parameters()).device, weights_only=True)
        self._net.load_state_dict(state["net"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.average, self.step, self._minutes_before = state["average"], state["step"], state["minutes"]
        logger.info("goes on at step %d after %.1f minutes", self.step, self._minutes_before)

    def save(self) -> None:
        minutes = self.minutes()
        state = {"net": self._net.state_dict(), "optimiser": self._optimiser.state_dict(), "average": self.average}
        _write(self.checkpoint, {**state, "step": self.step, "minutes": minutes, "config": asdict(self._config)})
        about = {"step": str(self.step), "minutes": f"{minutes:.1f}"}
        export(self.average, self._out / "weights.safetensors", about)

    def keep_validated(self, figures: Mapping[str, float]) -> None:
        about = {name: f"{value:.4f}" for name, value in figures.items()}
        export(self.average, self._out / f"validated-{self.step:06d}.safetensors", about)

    def learn(self, task: Task, batch: Any) -> dict[str, float]:
        """One step; figures for the log."""
        config, net = self._config, self._net
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self.step, config)
        net.train()
        loss, figures = task.loss(net, batch, self.step)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), config.max_gradient)
        if torch.isfinite(norm):
            self._optimiser.step()
        else:
            logger.warning("step %d: gradient is not finite, left out", self.step)
        self.step += 1
        _follow(self.average, net, min(config.average, (1 + self.step) / (10 + self.step)))
        return {"loss": float(loss.detach()), **figures}


def learning_rate(step: int, config: LoopConfig) -> float:
    """Linear warm-up, then half a cosine down to a hundredth."""
    if step < config.warm_up_steps:
        return config.learning_rate * (step + 1) / config.warm_up_steps
    progress = min(1.0, (step - config.warm_up_steps) / max(1, config.steps - config.warm_up_steps))
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress)))


def export(weights: Mapping[str, torch.Tensor], path: Path, about: Mapping[str, str]) -> None:
    """Write weights as safetensors, whole or not at all."""
    partial = path.with_suffix(".partial")
    save_file({name: value.detach().cpu().contiguous() for name, value in weights.items()}, partial, dict(about))
    os.replace(partial, path)


def _write(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


@torch.no_grad()
def _follow(average: dict[str, torch.Tensor], net: nn.Module, keep: float) -> None:
    for name, value in net.state_dict().items():
        average[name].lerp_(value, 1.0 - keep)


def _validate(net: nn.Module, average: Mapping[str, torch.Tensor], task: Task) -> Mapping[str, float]:
    """Validate the averaged weights and put the others back."""
    trained = {name: value.detach().clone() for name, value in net.state_dict().items()}
    net.load_state_dict(average)
    net.eval()
    try:
        return task.validate(net)
    finally:
        net.load_state_dict(trained)


def _means(figures: Iterable[Mapping[str, float]]) -> dict[str, float]:
    rows = list(figures)
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def _format(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
