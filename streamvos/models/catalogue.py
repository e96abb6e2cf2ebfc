"""The catalogue of weights: one entry for each file, with size, sha256, licence, source and preprocessing.

Three kinds. `packaged` files come inside an ordinary dependency and are located without importing it.
`ours` are trained by this repository and lie beside this module. `hub` files are fetched by `streamvos
models fetch` into a cache and checked; nothing here downloads at import or on first use.

The sha256 of a hub file is not known before it is fetched. It is taken from the hub then (the etag of a
large file is its sha256), compared with what arrived, and recorded beside the file; every later use is
checked against that record. That guards against damage and change after the fetch, not against a hub that
hands out another file.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streamvos.errors import IntegrityError, MissingWeightsError, unknown_name
from streamvos.models.download import DownloadError, Origin, download
from streamvos.models.entries import ENTRIES, Entry

__all__ = [
    "ENTRIES",
    "Entry",
    "Listing",
    "Verified",
    "cache_folder",
    "fetch",
    "find",
    "list_entries",
    "locate",
    "packaged_file",
    "sha256_of",
    "verify",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """An entry and where its file lies here, None where it is absent; the file is not read."""

    entry: Entry
    path: Path | None

    @property
    def bytes(self) -> int:
        """Size of the file here, else by the catalogue; 0 where neither is known."""
        return self.path.stat().st_size if self.path else self.entry.bytes


@dataclass(frozen=True)
class Verified:
    """A file that was read and found to be the expected one.

    Args:
        path: where it lies. sha256: its checksum. against: what it was compared with: "catalogue", "hub"
        (the hub's checksum, recorded when it was fetched)
            or "first fetch" (the source gave no checksum: unchanged since it was fetched, no more is known).
    """

    path: Path
    sha256: str
    against: str


def list_entries() -> list[Listing]:
    """All entries in the catalogue's order, with what is on this machine."""
    return [Listing(entry, find(entry)) for entry in ENTRIES.values()]


def locate(name: str) -> Path:
    """Path of a catalogue file, present and with the right sha256.

    Raises:
        InputError: unknown name.
        MissingWeightsError: not on this machine; says the command that gets it.
        IntegrityError: present, but not the expected file.
    """
    return verify(name).path


def verify(name: str) -> Verified:
    """Read a catalogue file and compare its sha256; raises what `locate` raises."""
    entry = _entry(name)
    path = find(entry)
    if path is None:
        raise MissingWeightsError(f"weights {name!r} are not on this machine; get them with: {entry.install}")
    if entry.kind != "hub":
        return _compared(entry, path, entry.sha256, "catalogue")
    files = [path.parent / companion for companion in entry.companions] + [path]
    return [_verify_fetched(entry, file) for file in files][-1]


def fetch(name: str, download: Callable[[Entry, str, Path], Origin] = download) -> Path:
    """Bring hub weights into the cache, check and record them; what is there and right already is kept.

    Args:
        name: a catalogue name.
        download: brings one file of an entry into a folder and says what its source knows of it.

    Raises:
        InputError: unknown name.
        MissingWeightsError: not a hub entry (says the command that gets it), or the source cannot be reached.
        IntegrityError: what arrived is not what the source or the catalogue announces; it is deleted.
    """
    entry = _entry(name)
    if entry.kind != "hub":
        if find(entry) is not None:
            return locate(name)
        raise MissingWeightsError(f"weights {name!r} are {entry.kind}, not on a hub; use: {entry.install}")
    try:
        return locate(name)
    except (MissingWeightsError, IntegrityError) as reason:
        logger.info("fetching %s from %s: %s", name, entry.source, reason)
    folder = _hub_folder(entry)
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*entry.companions, entry.file):
        (folder / file).unlink(missing_ok=True)
        try:
            origin = download(entry, file, folder)
        except DownloadError as error:
            raise MissingWeightsError(
                f"weights {name!r}: {file} could not be fetched from {entry.source} ({error}); "
                f"try again with: {entry.install}"
            ) from None
        _check_arrival(entry, file, folder / file, origin)
    return locate(name)


def find(entry: Entry) -> Path | None:
    """Where an entry's file lies, or None; the file is not read."""
    if entry.kind == "packaged":
        return packaged_file(entry.source, entry.file)
    folder = _hub_folder(entry) if entry.kind == "hub" else Path(__file__).parent
    files = [folder / file for file in (entry.file, *entry.companions)]
    return files[0] if all(file.is_file() for file in files) else None


def packaged_file(distribution: str, file: str) -> Path | None:
    """Locate a file of an installed distribution without importing the package; None where it is absent."""
    try:
        path = Path(str(importlib.metadata.distribution(distribution).locate_file(file)))
    except importlib.metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None


def cache_folder() -> Path:
    """Where hub weights are kept: $STREAMVOS_CACHE, or the platform's cache folder."""
    if named := os.environ.get("STREAMVOS_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "streamvos" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "streamvos"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamvos"


def sha256_of(path: Path) -> str:
    """The sha256 of a file; a file that has not changed is read once in a process."""
    facts = path.stat()
    return _sha256(path, facts.st_mtime_ns, facts.st_size)


@functools.cache
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(name: str) -> Entry:
    if name not in ENTRIES:
        raise unknown_name("weights", name, ENTRIES)
    return ENTRIES[name]


def _compared(entry: Entry, path: Path, expected: str, against: str) -> Verified:
    found = sha256_of(path)
    if found != expected:
        raise IntegrityError(
            f"weights {entry.name!r}: {path} has the wrong sha256 (expected {expected[:12]}…, "
            f"got {found[:12]}…); get it again with: {entry.install}"
        )
    return Verified(path, found, against)


def _hub_folder(entry: Entry) -> Path:
    source = entry.source.removeprefix("https://").replace("/", "--")
    return cache_folder() / "hub" / source / entry.revision


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.fetched.json")


def _verify_fetched(entry: Entry, path: Path) -> Verified:
    try:
        record = json.loads(_record_of(path).read_text(encoding="utf-8"))
        expected, against = str(record["sha256"]), str(record["against"])
    except (OSError, ValueError, KeyError, TypeError):
        raise IntegrityError(
            f"weights {entry.name!r}: {path} has no record of its sha256, so it cannot be checked; "
            f"get it again with: {entry.install}"
        ) from None
    if entry.sha256 and path.name == Path(entry.file).name:
        expected, against = entry.sha256, "catalogue"
    return _compared(entry, path, expected, against)


def _check_arrival(entry: Entry, file: str, path: Path, origin: Origin) -> None:
    announced = (entry.sha256 if file == entry.file else "") or origin.sha256
    found = sha256_of(path)
    if announced and found != announced:
        path.unlink()
        raise IntegrityError(
            f"weights {entry.name!r}: {file} from {entry.source} arrived with sha256 {found[:12]}…, "
            f"expected {announced[:12]}…; it was deleted, try again with: {entry.install}"
        )
    record = {
        "source": entry.source,
        "revision": origin.revision or entry.revision,
        "sha256": found,
        "bytes": path.stat().st_size,
        "against": "hub" if origin.sha256 else "first fetch",
    }
    _record_of(path).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
