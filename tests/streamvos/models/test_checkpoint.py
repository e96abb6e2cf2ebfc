"""Checkpoints of other people's networks: all keys fit, or nothing is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from streamvos.errors import IntegrityError
from streamvos.models.checkpoint import load_checkpoint


def network(value: float) -> nn.Module:
    """Two layers, all weights `value`; the second is the head that only training needs."""
    net = nn.ModuleDict({"body": nn.Linear(2, 3), "head": nn.Linear(3, 1)})
    for parameter in net.parameters():
        nn.init.constant_(parameter, value)
    return net


def saved(path: Path, state: Any) -> Path:
    torch.save(state, path)
    return path


def test_all_keys_are_filled(tmp_path: Path) -> None:
    net = network(0.0)
    load_checkpoint(net, saved(tmp_path / "net.pth", network(2.0).state_dict()), "Net", "small")
    assert all((value == 2.0).all() for value in net.state_dict().values())


def test_what_may_lack_stays_as_it_was(tmp_path: Path) -> None:
    lean = {key: value for key, value in network(2.0).state_dict().items() if not key.startswith("head.")}
    path, net = saved(tmp_path / "lean.pth", lean), network(0.5)
    with pytest.raises(IntegrityError, match=r"2 missing \(first: head.weight\)"):
        load_checkpoint(net, path, "Net", "small")
    load_checkpoint(net, path, "Net", "small", may_lack=("head.",))
    assert (net["body"].weight == 2.0).all() and (net["head"].weight == 0.5).all()


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "unexpected": ({"tail": torch.zeros(1)}, r"keys 1 unexpected \(first: tail\)"),
    "of another shape": ({"body.bias": torch.zeros(4)}, r"keys 1 of another shape \(first: body.bias\)"),
    "no tensor": ({"body.bias": 3.0}, r"keys 1 of another shape \(first: body.bias\)"),
    "two problems": (
        {"tail": torch.zeros(1), "body.bias": torch.zeros(4)},
        r"1 unexpected \(first: tail\), 1 of another shape \(first: body.bias\)",
    ),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES.keys())
def test_what_does_not_fit_is_named_and_nothing_is_loaded(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    net, path = network(0.0), saved(tmp_path / "other.pth", {**network(2.0).state_dict(), **change})
    with pytest.raises(IntegrityError, match=rf"^Net weights .*other.pth do not fit small: .*{message}"):
        load_checkpoint(net, path, "Net", "small", may_lack=("head.",))
    assert all((value == 0.0).all() for value in net.state_dict().values())


UNREADABLE: dict[str, tuple[bytes | None, str]] = {
    "absent": (None, "cannot be read: .*No such file"),
    "text": (b"not weights", "cannot be read: "),
    "empty": (b"", "cannot be read: "),
}


@pytest.mark.parametrize(("content", "message"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_files_that_are_no_checkpoint(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(IntegrityError, match=rf"^Net weights .*net.pth {message}"):
        load_checkpoint(network(0.0), tmp_path / "net.pth", "Net", "small")


def test_a_list_is_no_state_dict(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="expected a dict of tensors, got list"):
        load_checkpoint(network(0.0), saved(tmp_path / "list.pth", [1]), "Net", "small")
