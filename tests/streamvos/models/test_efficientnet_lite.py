"""The frozen features: folded or not they are the same, and any picture fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from streamvos.errors import IntegrityError
from streamvos.models import efficientnet_lite
from streamvos.models.efficientnet_lite import CHANNELS, EfficientNetLite0, scale_to_short_side


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return EfficientNetLite0(torch.device("cpu"))


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_folding_changes_nothing(network: EfficientNetLite0) -> None:
    """Against timm's own network, batch norm and all, with the packaged weights laid in by name."""
    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    path = efficientnet_lite.locate("efficientnet-lite0")
    weights = torch.load(path, map_location="cpu", weights_only=True)
    whole.load_state_dict(dict(zip(whole.state_dict(), weights.values(), strict=True)))
    image = noise(96, 128)
    pixels = (torch.from_numpy(image).permute(2, 0, 1)[None].float() - 127.5) / 127.5
    wanted = {}
    with torch.inference_mode():
        maps = whole.bn1(whole.conv_stem(pixels))
        for block in whole.blocks[:5]:
            maps = block(maps)
            wanted[96 // maps.shape[2]] = maps
    features = network.encode(image, 96)
    for stride, ours in ((4, features.stride4), (8, features.stride8), (16, features.stride16)):
        assert ours.shape == (1, CHANNELS[stride], 96 // stride, 128 // stride)
        assert (ours - wanted[stride]).abs().max() < 1e-3 * wanted[stride].abs().max()


@pytest.mark.parametrize(
    ("size", "short", "valid", "padded"),
    [
        ((96, 128), 96, (96, 128), (96, 128)),
        ((101, 67), 96, (101, 67), (112, 80)),
        ((200, 333), 100, (100, 166), (112, 176)),
        ((1, 1), 96, (1, 1), (16, 16)),
        ((2, 500), 96, (2, 500), (16, 512)),
    ],
    ids=["whole strides", "odd, never enlarged", "shrunk", "one pixel", "a line"],
)
def test_any_size_is_padded_to_whole_strides(
    network: EfficientNetLite0,
    size: tuple[int, int],
    short: int,
    valid: tuple[int, int],
    padded: tuple[int, int],
) -> None:
    features = network.encode(noise(*size), short)
    assert features.valid == valid and features.image.shape == (*padded, 3)
    assert features.stride4.shape[2:] == (padded[0] // 4, padded[1] // 4)
    assert features.stride16.shape[2:] == (padded[0] // 16, padded[1] // 16)
    assert all(torch.isfinite(maps).all() for maps in (features.stride4, features.stride8, features.stride16))
    height, width = valid
    assert (features.image[height:, :width] == features.image[height - 1, :width]).all()  # the rim goes on


def test_one_pixel_side_survives_a_strong_reduction() -> None:
    assert scale_to_short_side(noise(4000, 40), 20).shape == (2000, 20, 3)
    assert scale_to_short_side(noise(40, 40), 1).shape == (1, 1, 3)


def test_grey_pictures_have_features_of_their_own(network: EfficientNetLite0) -> None:
    colour = noise(64, 64)
    grey = np.repeat(colour[..., :1], 3, axis=2)
    plain = np.full((64, 64, 3), 128, np.uint8)
    maps = [network.encode(image, 64).stride16 for image in (colour, grey, plain)]
    assert all(torch.isfinite(one).all() and one.std() > 0 for one in maps)
    assert all((one - other).abs().mean() > 0.5 for one, other in zip(maps, maps[1:], strict=False))


def test_same_picture_same_features(network: EfficientNetLite0) -> None:
    first, second = (network.encode(noise(64, 80), 64).stride16 for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, network.encode(noise(64, 80, seed=1), 64).stride16)


def test_weights_of_another_shape_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "w.pth")
    monkeypatch.setattr(efficientnet_lite, "locate", lambda name: tmp_path / "w.pth")
    with pytest.raises(IntegrityError, match="w.pth: expected the .* tensors of EfficientNet-Lite0"):
        EfficientNetLite0(torch.device("cpu"))
