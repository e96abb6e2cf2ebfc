"""What an object is called: evidence of all sightings, a name that does not flip, and none where they do not agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Another class must be ahead by so many full sightings, and by this share, before the name changes.
_LEAD, _LEAD_SHARE = 1.0, 0.2
# Share of all evidence from which a name is believed, and below which it is withdrawn: a car that is taken for a truck
# in every other frame is called neither.
_BELIEVED, _WITHDRAWN = 0.65, 0.55


@dataclass
class ClassBelief:
    """The evidence for each class, and the name that is shown.

    Args:
        evidence: sum of the detector's scores by class.
        leading: the class that is ahead, "" where none was seen.
        is_sure: whether enough of the evidence speaks for it to be called so.
        score: of the latest sighting of that class; None where there was none.
    """

    evidence: dict[str, float] = field(default_factory=dict)
    leading: str = ""
    is_sure: bool = False
    score: float | None = None

    @property
    def name(self) -> str:
        """Of the class that is believed; "" where none was seen, or the sightings do not agree."""
        return self.leading if self.is_sure else ""

    def see(self, class_name: str, score: float) -> None:
        """The detector sees the object as a class."""
        self.evidence[class_name] = self.evidence.get(class_name, 0.0) + score
        best = max(self.evidence, key=lambda name: (self.evidence[name], name))
        now = self.evidence.get(self.leading, 0.0)
        if not self.leading or self.evidence[best] > now + max(_LEAD, _LEAD_SHARE * now):
            self.leading = best
        if class_name == self.leading:
            self.score = score
        share = self.evidence[self.leading] / sum(self.evidence.values())
        self.is_sure = share >= (_WITHDRAWN if self.is_sure else _BELIEVED)

    def state_dict(self) -> dict[str, Any]:
        return {**vars(self), "evidence": dict(self.evidence)}
