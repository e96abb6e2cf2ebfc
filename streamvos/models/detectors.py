"""The detectors by name; a new one adds its file to the imports here."""

from __future__ import annotations

from streamvos.models import detr as detr
from streamvos.models import function_detector as function_detector
from streamvos.models import owlv2 as owlv2
from streamvos.models import ssd_mobilenet as ssd_mobilenet
from streamvos.models.detector import DETECTORS, Detector, DetectorFunction, DetectorSetup, expect_detector_weights
from streamvos.models.function_detector import FUNCTION

__all__ = ["DETECTORS", "FUNCTION", "Detector", "DetectorFunction", "DetectorSetup", "expect_detector_weights"]
