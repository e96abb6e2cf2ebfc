"""All that is fuzzed, by name."""

from __future__ import annotations

import cv2

from tests.tools.fuzz.target import Target
from tests.tools.fuzz.targets import (
    images,
    masks,
    memories,
    options,
    prompts,
    questions,
    rgbd,
    runs,
    settings,
    truth,
    videos,
)

cv2.setNumThreads(1)  # its threads would not outlive the fork of a worker

TARGETS: dict[str, Target] = {
    one.name: one
    for one in (
        masks.TARGET,
        prompts.TARGET,
        options.TARGET,
        settings.TARGET,
        questions.TARGET,
        images.TARGET,
        videos.TARGET,
        rgbd.TARGET,
        *truth.TARGETS,
        *runs.TARGETS,
        memories.TARGET,
    )
}
