"""Durations in a fixed number of bytes: exact mean and maximum, percentiles to 2%."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_FIRST_S = 1e-6
_GROWTH = 1.04  # a bin is 4% wide, so that its middle is off by 2% at most
_NUM_BINS = 540  # to 1,500 s


class Timings:
    """Histograms of seconds, one for each stage."""

    def __init__(self) -> None:
        self._bins: dict[str, np.ndarray] = {}
        self._sums_s: dict[str, float] = {}
        self._max_s: dict[str, float] = {}

    def add(self, timings_s: Mapping[str, float]) -> None:
        """Count one frame."""
        for name, seconds in timings_s.items():
            bins = self._bins.setdefault(name, np.zeros(_NUM_BINS, np.int64))
            at = int(math.log(max(seconds, _FIRST_S) / _FIRST_S) / math.log(_GROWTH))
            bins[min(at, _NUM_BINS - 1)] += 1
            self._sums_s[name] = self._sums_s.get(name, 0.0) + float(seconds)
            self._max_s[name] = max(self._max_s.get(name, 0.0), float(seconds))

    def summary(self) -> dict[str, dict[str, float]]:
        """For each stage: count, mean, p50, p95, max in seconds."""
        return {
            name: {
                "count": int(bins.sum()),
                "mean": round(self._sums_s[name] / int(bins.sum()), 6),
                "p50": self._percentile(name, 0.50),
                "p95": self._percentile(name, 0.95),
                "max": round(self._max_s[name], 6),
            }
            for name, bins in self._bins.items()
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            name: {"bins": bins.copy(), "sum_s": self._sums_s[name], "max_s": self._max_s[name]}
            for name, bins in self._bins.items()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._bins = {name: np.array(part["bins"]) for name, part in state.items()}
        self._sums_s = {name: part["sum_s"] for name, part in state.items()}
        self._max_s = {name: part["max_s"] for name, part in state.items()}

    def _percentile(self, name: str, share: float) -> float:
        total = np.cumsum(self._bins[name])
        at = int(np.searchsorted(total, share * total[-1]))
        return round(min(_FIRST_S * _GROWTH ** (at + 0.5), self._max_s[name]), 6)
