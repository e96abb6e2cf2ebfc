"""Settings of the key-frame memory, and the policies by name: a new one adds its file to the imports here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from memory_bank.keyframes import published as published
from memory_bank.keyframes import smart as smart
from memory_bank.keyframes.policy import POLICIES, KeyFramePolicy
from streamvos.config import Settings, chosen, setting


def policy_settings() -> Mapping[str, type[KeyFramePolicy]]:
    """The settings of each policy: the policy itself."""
    return {name: POLICIES.get(name) for name in POLICIES.names()}


@dataclass(frozen=True)
class KeyFrameConfig(Settings, at="keyframes"):
    """How many views are kept, and by which rules; how many bytes they may take stands in `MemoryBudgets`."""

    max_per_object: int = setting(
        8, "larger remembers more views, and costs time when the appearance is fitted anew", low=1
    )
    keeps_first: bool = setting(
        True, "whether the first view of an object stays for good; off shows what that is worth"
    )
    policy: str = setting(
        "smart",
        "what is written and what is dropped: smart is of this project, the others are published",
        names=POLICIES.names,
    )
    rules: KeyFramePolicy = chosen("policy", policy_settings)
