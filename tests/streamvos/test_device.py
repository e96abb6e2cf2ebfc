"""Devices by name, and the errors of names that are not there."""

from __future__ import annotations

import pytest
import torch

from streamvos.device import DEVICES, pick_device, pick_precision
from streamvos.errors import InputError, unknown_name


def present(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in kinds)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in kinds)


@pytest.mark.parametrize(
    ("kinds", "best"),
    [((), "cpu"), (("mps",), "mps"), (("cuda",), "cuda"), (("cuda", "mps"), "cuda")],
    ids=["cpu alone", "mps", "cuda", "both"],
)
def test_auto_takes_the_best_present(monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, ...], best: str) -> None:
    present(monkeypatch, *kinds)
    assert pick_device().type == pick_device("auto").type == best


def test_a_named_device_is_that_one_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    present(monkeypatch, "mps")
    assert pick_device("cpu").type == "cpu"
    assert pick_device("mps").type == "mps"
    with pytest.raises(InputError, match=r"'cuda' is not available here \(available: cpu, mps\); use device='auto'"):
        pick_device("cuda")


def test_an_unknown_device_lists_the_known() -> None:
    with pytest.raises(InputError, match=f"unknown device 'gpu'.*{', '.join(DEVICES)}"):
        pick_device("gpu")


def test_unknown_names_suggest_the_nearest_and_list_all() -> None:
    assert str(unknown_name("policy", "samrt", ["smart", "fifo"])) == (
        "unknown policy 'samrt'; did you mean 'smart'? (valid: fifo, smart)"
    )
    assert "did you mean" not in str(unknown_name("policy", "xyz", ["smart", "fifo"]))


def test_precision_by_name() -> None:
    cpu = torch.device("cpu")
    assert pick_precision("float32", cpu) == torch.float32
    assert pick_precision("bfloat16", cpu) == torch.bfloat16
    assert pick_precision("auto", cpu) in (torch.float32, torch.bfloat16)


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(InputError, match="valid: auto, float32, bfloat16"):
        pick_precision("half", torch.device("cpu"))
