"""The detectors by name; a new one adds its file to the imports here."""

from __future__ import annotations

from streamvos.models import ssd_mobilenet as ssd_mobilenet
from streamvos.models.detector import DETECTORS, Detector

__all__ = ["DETECTORS", "Detector"]
