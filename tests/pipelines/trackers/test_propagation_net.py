"""The propagation network's parts against values known beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines.trackers.propagation_net import (
    Cues,
    PropagationNet,
    as_query,
    highest_of_others,
    others_of,
    read_memory,
)
from streamvos.errors import InputError


def frame(height: int = 6, width: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Feature maps of `height` x `width` cells of 16 pixels."""
    generator = torch.Generator().manual_seed(1)
    sizes = ((24, 4), (40, 2), (112, 1))
    return tuple(torch.randn(1, count, height * k, width * k, generator=generator) for count, k in sizes)


def cues(rows: int, height: int = 6, width: int = 8) -> Cues:
    generator = torch.Generator().manual_seed(2)
    shapes = ((1, 2), (1, 2), (4, 2), (1, 2), (2, 4))
    return Cues(*(torch.rand(rows, count, height * k, width * k, generator=generator) for count, k in shapes))


def test_before_training_it_says_what_its_cues_say() -> None:
    torch.manual_seed(0)
    net = PropagationNet()
    encoding = net.encode(*frame()).rows(torch.zeros(2, dtype=torch.int64))
    given = cues(2)
    read = net.value(encoding, given.last)
    logits = net.decode(encoding, read, given)
    ridge = torch.nn.functional.interpolate(given.ridge, (24, 32), mode="bilinear", align_corners=False)
    mix = 0.6 * ridge + 0.4 * torch.nn.functional.pixel_shuffle(given.carried, 2)
    assert logits.shape == (2, 24, 32)
    torch.testing.assert_close(logits, 6.0 * (mix - 0.5)[:, 0])


def test_rows_do_not_depend_on_each_other() -> None:
    torch.manual_seed(0)
    net = PropagationNet()
    torch.nn.init.normal_(net.out.weight)
    encoding, given = net.encode(*frame()), cues(3)
    together = net.decode(encoding.rows(torch.zeros(3, dtype=torch.int64)), torch.ones(3, 96, 6, 8), given)
    alone = net.decode(encoding, torch.ones(1, 96, 6, 8), Cues(*(part[1:2] for part in given)))
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-4)


def test_memory_is_read_where_the_key_is_the_same() -> None:
    query = 10.0 * torch.eye(4).view(1, 4, 2, 2)  # four cells, all different
    keys = torch.cat([query.flip(3), torch.full_like(query, -50.0)], dim=1)  # a mirrored frame, and one far away
    keys = keys.view(1, 2, 4, 4).transpose(1, 2).flatten(2)
    read = read_memory(as_query(query), keys, torch.arange(8.0).view(1, 1, 8))
    torch.testing.assert_close(read, torch.tensor([[[1.0, 0.0, 3.0, 2.0]]]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("far", [0.0, 100.0], ids=["near", "like nothing known"])
def test_memory_weights_fall_with_squared_distance(dtype: torch.dtype, error: float, far: float) -> None:
    torch.manual_seed(0)
    query, keys, values = torch.randn(2, 4, 3, 5), torch.randn(2, 4, 40), torch.randn(2, 7, 40)
    keys[:, 0] += far
    distances = (query.flatten(2)[:, :, :, None] - keys[:, :, None]).square().sum(dim=1)
    wanted = values @ torch.softmax(-distances / 2, dim=2).transpose(1, 2)
    read = read_memory(as_query(query, dtype), keys, values)
    if far and dtype == torch.bfloat16:  # the nearest of far ones are all the same to 16 bits
        assert torch.isfinite(read).all() and read.abs().max() <= values.abs().max() * 1.01
        return
    torch.testing.assert_close(read, wanted, atol=error * (1 + far), rtol=0)


def test_others_are_of_the_same_frame_only() -> None:
    maps, group = torch.tensor([[0.2], [0.5], [0.9], [0.8]]), torch.tensor([0, 1, 1, 1])
    torch.testing.assert_close(others_of(maps, group).flatten(), torch.tensor([0.0, 1.0, 1.0, 1.0]))
    torch.testing.assert_close(highest_of_others(maps, group).flatten(), torch.tensor([0.0, 0.9, 0.8, 0.9]))


def test_weights_read_back_are_the_same_and_others_are_refused(tmp_path: Path) -> None:
    net = PropagationNet()
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    again = PropagationNet.from_file(tmp_path / "net.safetensors", torch.device("cpu"))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in net.state_dict().items())
    assert not again.training
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing of the kind")
    for name in ("other", "broken", "absent"):
        with pytest.raises(InputError, match="expected safetensors weights of the propagation network"):
            PropagationNet.from_file(tmp_path / f"{name}.safetensors", torch.device("cpu"))
