"""run.json: what was run, with what, how it went."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import psutil

from streamvos.errors import IntegrityError
from streamvos.export.parts import replacing

FILE = "run.json"
FORMAT = "streamvos run 1"
_PACKAGES = (
    "streamvos",
    "torch",
    "torchvision",
    "numpy",
    "opencv-python-headless",
    "av",
    "ray",
    "transformers",
)


def write_report(folder: Path, report: dict[str, Any]) -> None:
    """Write run.json so that it is whole at any time."""
    text = json.dumps({"format": FORMAT} | report, indent=2, ensure_ascii=False, default=str)
    with replacing(folder / FILE) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def overwrite_status(folder: Path, status: str, error: str) -> None:
    """Put the end of a run into the run.json that is there, within its bytes: a full disk takes that.

    Raises:
        OSError: not even that is possible.
    """
    report = read_report(folder)
    if report is None:
        return
    with (folder / FILE).open("r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        for shown in (error, error[:80], None):
            text = json.dumps(report | {"status": status, "error": shown}, ensure_ascii=False, separators=(",", ":"))
            data = text.encode() + b"\n"
            if len(data) <= size:  # it is written with indents, so there is room
                file.seek(0)
                file.write(data.rjust(size))
                return


def read_report(folder: Path) -> dict[str, Any] | None:
    """The run.json of a folder, or None where there is none of ours.

    Raises:
        IntegrityError: there is one, and it is damaged.
    """
    path = folder / FILE
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{str(path)!r} is damaged ({error}); remove the folder yourself") from None
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        return None
    counts = report.get("counts")
    kinds = {"status": str, "started": str, "source": dict, "config": dict, "counts": dict}
    broken = [name for name, kind in kinds.items() if not isinstance(report.get(name), kind)]
    if not broken and (not isinstance(counts.get("next_index"), int) or counts["next_index"] < 0):
        broken = ["counts.next_index"]
    if broken:
        raise IntegrityError(f"{str(path)!r} is damaged (no {broken[0]}); remove the folder yourself")
    return report


def versions() -> dict[str, str]:
    """Versions of what computes the results; "not installed" where a package is missing."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def peak_rss_bytes() -> int:
    """The largest resident memory of this process so far.

    Linux: VmHWM, because `ru_maxrss` of a child includes what its parent had when it was forked.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # does not exist on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def now() -> str:
    """The wall clock, ISO 8601 with the offset."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
