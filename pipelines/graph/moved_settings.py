"""What became of settings that there were: what somebody is told whose configuration file still has them."""

from __future__ import annotations

MOVED: dict[str, str] = {}
