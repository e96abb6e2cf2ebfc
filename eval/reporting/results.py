"""Results of an evaluation on disk: one JSON for programs, one Markdown table and one plot for people.

A number is worth only what is known of how it came about, so the files carry the commit, command, data,
seed, machine, frames per second and peak memory.
"""

from __future__ import annotations

import io
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from matplotlib.figure import Figure

from streamvos.errors import InputError

# Draws on an empty figure.
Plot = Callable[[Figure], None]

REQUIRED_META = ("command", "data", "seed", "fps")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Headline:
    """The one figure of an evaluation that a table of all evaluations shows.

    Args:
        measure: what it is, with its unit: "J&F", "ATE, cm".
        value: ours. baseline: the one that any method must beat, None where it was not measured.
        baseline_name: what it is.
    """

    measure: str
    value: float
    baseline: float | None = None
    baseline_name: str | None = None


def write_results(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    meta: Mapping[str, Any],
    directory: Path,
    headline: Headline | None = None,
    plot: Plot | None = None,
) -> list[Path]:
    """Write `<directory>/<name>.json`, `<name>.md` and, with a plot, `<name>.png`; files of that name are replaced.

    Args:
        name: what was evaluated ("davis2016-ridge").
        rows: one mapping for each row of the table, all with the same columns.
        meta: at least command, data (name and version, no private paths), seed and fps (None where the evaluation
            has no such thing); what else matters may be added. Commit, machine and, where it is not given, peak memory
            are added here.
        directory: made where absent.
        headline: what the table of all evaluations shows of this one.
        plot: draws the picture.

    Returns:
        The paths written.

    Raises:
        InputError: no rows, rows of different columns, or incomplete meta.
    """
    missing = [key for key in REQUIRED_META if key not in meta]
    if missing:
        wanted = ", ".join(REQUIRED_META)
        raise InputError(f"results {name!r}: expected meta with {wanted}; missing {missing}")
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise InputError(f"results {name!r}: expected at least one row, and the same columns in all rows")
    full = {"peak_rss_mib": peak_rss_mib(), **meta, "commit": commit(), "machine": machine()}
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{name}.json", directory / f"{name}.md"]
    document: dict[str, Any] = {"name": name, "meta": full, "rows": [dict(row) for row in rows]}
    if headline is not None:
        document["headline"] = asdict(headline)
    _replace(paths[0], (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
    _replace(paths[1], _page(name, rows, full, plot is not None).encode())
    if plot is not None:
        paths.append(directory / f"{name}.png")
        _replace(paths[2], render(plot))
    return paths


def render(plot: Plot) -> bytes:
    """A plot as PNG."""
    figure = Figure(figsize=(8, 4), dpi=110, layout="constrained")
    plot(figure)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def bars(rows: Sequence[Mapping[str, Any]], label: str, columns: Sequence[str], unit: str) -> Plot:
    """Plot some columns of a table side by side, one group of bars for each row.

    Args:
        rows: of the table; a cell that is None gets no bar.
        label: the column that names the rows.
        columns: of numbers in one unit.
        unit: written at the axis.
    """

    def draw(figure: Figure) -> None:
        figure.set_figheight(max(2.5, 0.28 * len(rows) * max(1, 0.6 * len(columns)) + 1))
        axes = figure.add_subplot()
        height = 0.8 / len(columns)
        for place, column in enumerate(columns):
            values = [row[column] for row in rows]
            at = [row + place * height for row, value in enumerate(values) if value is not None]
            drawn = axes.barh(at, [value for value in values if value is not None], height * 0.9, label=column)
            axes.bar_label(drawn, padding=3, fontsize=7)
        axes.set_yticks([row + 0.4 - height / 2 for row in range(len(rows))], [str(row[label]) for row in rows])
        axes.invert_yaxis()
        axes.set_xlabel(unit)
        axes.margins(x=0.12)
        axes.spines[["top", "right"]].set_visible(False)
        if len(columns) > 1:
            figure.legend(loc="outside upper right", ncols=len(columns), frameon=False, fontsize=8)

    return draw


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table, numbers right-aligned, None as a dash."""
    columns = list(rows[0])
    numeric = [any(isinstance(row[column], int | float) for row in rows) for column in columns]
    lines = [columns, ["---:" if right else ":---" for right in numeric]]
    lines += [[_cell(row[column]) for column in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def command_line(words: Sequence[str], path_names: Mapping[Path, str] | None = None) -> str:
    """The command as anyone would give it, without where its results went.

    Args:
        words: of the command line, after the program's name.
        path_names: what the user's own paths are called there, such as "DAVIS".
    """
    kept: list[str] = []
    rest = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    while rest:
        word = rest.pop(0)
        if word in ("--out", "--save", "--jobs", "--name", "--config") and rest and not rest[0].startswith("-"):
            value = rest.pop(0)
            kept += ["--config", Path(value).name] if word == "--config" else []
        elif word not in ("--resume", "--overwrite", "--save"):
            kept.append(next((name for path, name in (path_names or {}).items() if Path(word) == path), word))
    return "streamvos " + shlex.join(kept)


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,  # other work makes all slower
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def commit() -> str:
    """The commit of this code, with "+changes" where tracked files differ from it; "unknown" outside git."""
    head = _git("rev-parse", "HEAD")
    if head is None:
        return "unknown"
    return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")


def peak_rss_mib() -> float:
    """The most memory that this process has had resident so far, in MiB."""
    if sys.platform == "win32":
        return round(psutil.Process().memory_info().peak_wset / 2**20, 1)
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, 1)


def _page(name: str, rows: Sequence[Mapping[str, Any]], meta: Mapping[str, Any], has_plot: bool) -> str:
    facts = []
    for key, value in meta.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else _cell(value)
        facts.append(f"- {key}: `{text}`\n" if key in ("command", "commit") else f"- {key}: {text}\n")
    picture = f"![{name}]({name}.png)\n\n" if has_plot else ""
    return f"# {name}\n\n{markdown_table(rows)}\n{picture}{''.join(facts)}"


def _cell(value: Any) -> str:
    return "–" if value is None else str(value).replace("|", "\\|")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
