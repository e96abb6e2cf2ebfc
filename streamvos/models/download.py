"""Getting one file of hub weights: from the Hugging Face hub, or from an https release folder.

Called by `catalogue.fetch` only, on the user's request; `huggingface_hub` is imported here and nowhere else.
"""

from __future__ import annotations

import os
import re
import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from streamvos.models.entries import Entry

TIMEOUT_S = 30.0


class DownloadError(Exception):
    """The source could not be reached or does not have the file; the message is one line."""


@dataclass(frozen=True)
class Origin:
    """What the source says of a file.

    Args:
        sha256: its checksum by the source, "" where the source gives none (small files, release folders).
        revision: the commit that the file came from, "" where the source has none.
    """

    sha256: str
    revision: str


def download(entry: Entry, file: str, folder: Path) -> Origin:
    """Bring one file of an entry's source to `folder / file`; raises `DownloadError`."""
    if entry.source.startswith("https://"):
        return _from_release(entry.source, file, folder)
    return _from_hub(entry, file, folder)


def _from_hub(entry: Entry, file: str, folder: Path) -> Origin:
    import huggingface_hub  # slow to import, and needed for a fetch only

    endpoint = os.environ.get("HF_ENDPOINT")
    try:
        url = huggingface_hub.hf_hub_url(entry.source, file, revision=entry.revision, endpoint=endpoint)
        facts = huggingface_hub.get_hf_file_metadata(url, timeout=TIMEOUT_S, endpoint=endpoint)
        revision = facts.commit_hash or entry.revision
        huggingface_hub.hf_hub_download(entry.source, file, revision=revision, local_dir=folder, endpoint=endpoint)
    except Exception as error:  # its HTTP library, and so its errors, differ from version to version
        raise DownloadError(_one_line(error)) from error
    etag = facts.etag or ""
    return Origin(etag if re.fullmatch("[0-9a-f]{64}", etag) else "", facts.commit_hash or "")


def _from_release(source: str, file: str, folder: Path) -> Origin:
    part = folder / f"{file}.part"
    try:
        with urllib.request.urlopen(f"{source}/{file}", timeout=TIMEOUT_S) as answer, part.open("wb") as out:
            shutil.copyfileobj(answer, out, 1 << 20)
        part.replace(folder / file)
    except OSError as error:  # URLError is one
        part.unlink(missing_ok=True)
        raise DownloadError(_one_line(error)) from error
    return Origin("", "")


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
