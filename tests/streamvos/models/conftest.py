"""Small randomly initialised detectors of the hub's architectures, fetched into a cache as real ones would be."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from streamvos.models import catalogue
from streamvos.models.detectors import DETECTORS
from streamvos.models.download import Origin
from streamvos.models.entries import Entry
from tests.streamvos.models import tiny_detectors

HUB_DETECTORS = ("rtdetr-v2", "dfine", "rf-detr", "owlv2")


@pytest.fixture(scope="session")
def detector_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the weights of all hub detectors, brought and checked by the catalogue."""
    hub, cache = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("cache")
    torch.manual_seed(7)
    for name in HUB_DETECTORS:
        tiny_detectors.save(name, hub / DETECTORS.get(name).weights)

    def copy(entry: Entry, file: str, folder: Path) -> Origin:
        shutil.copy(hub / entry.name / file, folder / file)
        return Origin("", "a commit")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMVOS_CACHE", str(cache))
        for name in HUB_DETECTORS:
            catalogue.fetch(DETECTORS.get(name).weights, copy)
    return cache


@pytest.fixture
def fetched(detector_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("STREAMVOS_CACHE", str(detector_cache))
    yield detector_cache
