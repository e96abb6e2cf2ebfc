"""MOTA, IDF1 and HOTA by TrackEval, the evaluation that MOTChallenge itself uses, with its rules for each set.

HOTA as in Luiten et al., IJCV 2021. TrackEval is installed apart (see `INSTALL`): its package asks for opencv-python,
which overwrites the opencv-python-headless that this project uses, and which the metrics of boxes do not need.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eval.datasets.mot import MotSequence
from eval.datasets.mot_truth import read_truth
from streamvos.errors import InputError

INSTALL = "pip install --no-deps 'trackeval>=1.3' tabulate"
MEASURES = ("MOTA", "IDF1", "HOTA", "DetA", "AssA", "IDSW", "FP", "FN", "MT", "ML", "Frag")
_PERCENT = MEASURES[:5]
_FAMILIES = ("CLEAR", "Identity", "HOTA")
# TrackEval's results by family and name: {"HOTA": {"HOTA": [19 values], ...}, ...}; JSON can hold them
RawScores = dict[str, dict[str, Any]]


def score_tracks(sequence: MotSequence, results: Path) -> RawScores:
    """TrackEval's own results of one sequence.

    Args:
        sequence: with its truth.
        results: MOT file of the tracks: frame (from 1), id, left, top, width, height, confidence, three more.

    Raises:
        InputError: TrackEval is not installed, or refuses a file.
    """
    if not results.is_file():
        raise InputError(f"sequence {sequence.name}: expected its results as {str(results)!r}")
    trackeval, said = _trackeval(), io.StringIO()
    try:
        with _tidy_truth(sequence) as truth, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            data = trackeval.datasets.MotChallenge2DBox(_settings(sequence, results, truth))
            raw = data.get_raw_seq_data("", sequence.name)
            boxes = data.get_preprocessed_seq_data(raw, "pedestrian")
            scores = {family: _metric(family).eval_sequence(boxes) for family in _FAMILIES}
    except (
        trackeval.utils.TrackEvalException,
        ValueError,
        LookupError,
        TypeError,
        OverflowError,
        MemoryError,  # it makes arrays as long as the largest id
    ) as error:
        raise InputError(f"sequence {sequence.name}: TrackEval refuses {results.name} or its truth: {error}") from None
    return {family: {name: _plain(value) for name, value in part.items()} for family, part in scores.items()}


def combine(scores: Mapping[str, RawScores]) -> RawScores:
    """TrackEval's combination of several sequences: over all boxes and tracks together, not a mean of means."""
    combined = {}
    for family in _FAMILIES:
        parts = {name: {k: np.array(v) for k, v in one[family].items()} for name, one in scores.items()}
        combined[family] = _metric(family).combine_sequences(parts)
    return combined


def measures(scores: RawScores) -> dict[str, float]:
    """The usual columns by name, see `MEASURES`: percent and counts; HOTA, DetA and AssA are means over thresholds."""
    clear, hota = scores["CLEAR"], scores["HOTA"]
    values = {
        **{name: clear[name] for name in ("MOTA", "IDSW", "MT", "ML", "Frag")},
        **{name: np.mean(hota[name]) for name in ("HOTA", "DetA", "AssA")},
        "IDF1": scores["Identity"]["IDF1"],
        "FP": clear["CLR_FP"],
        "FN": clear["CLR_FN"],
    }
    return {name: 100 * float(values[name]) if name in _PERCENT else int(values[name]) for name in MEASURES}


def _trackeval() -> Any:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it could not import of itself
            import trackeval  # an optional package
    except ImportError as error:
        raise InputError(f"eval mot scores by TrackEval, which is not installed ({error}): {INSTALL}") from None
    return trackeval


def _metric(family: str) -> Any:
    kind = getattr(_trackeval().metrics, family)
    return kind() if family == "HOTA" else kind({"PRINT_CONFIG": False})


@contextlib.contextmanager
def _tidy_truth(sequence: MotSequence) -> Iterator[Path]:
    """A folder of sequences with the truth as TrackEval wants it: 9 values a line, in the order of frames."""
    lines = read_truth(sequence.truth, sequence.num_frames).lines
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / sequence.name / "gt" / "gt.txt"
        path.parent.mkdir(parents=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        yield Path(folder)


def _settings(sequence: MotSequence, results: Path, truth: Path) -> dict[str, Any]:
    return {
        "GT_FOLDER": str(truth),
        "TRACKERS_FOLDER": str(results.parent),
        "TRACKERS_TO_EVAL": [""],
        "TRACKER_SUB_FOLDER": "",
        "SEQ_INFO": {sequence.name: sequence.num_frames},
        "BENCHMARK": sequence.rules,
        "SKIP_SPLIT_FOL": True,
        "PRINT_CONFIG": False,
    }


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist()
