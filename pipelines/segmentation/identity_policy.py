"""Is this mask still that object, and is that region it again? Numbers in, decisions out; no pixels here.

After HQ-SMem (Kazemi et al., 2025), whose appearance model vouches for a mask; ours also names the rival: a mask that
looks more like another known object is that object.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

_USUAL_RATE = 0.1
_FALSE_RATE = 0.03
_LEAST_SPREAD = 0.05


@dataclass(frozen=True)
class IdentityConfig:
    """How sure the appearance must be. Likeness is 1 for cells like the object and 0 for any others."""

    check: bool = True  # off: the base tracker is believed, and a lost object waits for it
    # The tracker's own mean probability inside a mask is the best single witness (see docs/ablation.md): where it is
    # right, that is seldom below 0.9, taken after looks have had their say (`weight`). Larger hides drifted masks
    # sooner, and blurred or tiny ones.
    min_confidence: float = 0.85
    learn_confidence: float = 0.92  # from which a view may teach; larger keeps slides out, and new looks
    # So sure a mask is the object whatever it looks like, and teaches what it looks like now; larger adapts less.
    trusted_confidence: float = 0.955
    min_likeness: float = 0.15  # inside a tracked mask; larger hides drifted masks sooner, and strange views
    min_share: float = 0.3  # of its usual likeness, likewise, where there are others to be taken for it
    # Where it is the only object, what is usual is how it looked lately: it may turn and change step by step, as long
    # as it does not change at once. Larger hides slides sooner, and quick turns.
    min_share_alone: float = 0.3
    recent_rate: float = 0.12  # of that running mean; larger follows quicker turns, and slides
    # How much more a mask must look like its object than like any other one: so much, or this share of what is usual
    # where another one always looks much like it. Larger hides slides sooner, and strange views.
    min_lead: float = 0.2
    min_lead_share: float = 0.3
    doubt_frames: int = 3  # in doubt before a mask is hidden; larger bears with blur, and with slides
    weight: float = 10.0  # of the appearance against the tracker's logits; larger cuts masks more
    teach_share: float = 0.5  # of the usual likeness from which the tracker may learn a view; larger follows less
    teach_lead_share: float = 0.7  # of the usual lead over others, likewise; larger keeps slides out
    learn_share: float = 0.7  # of both, from which the appearance itself may; larger keeps slides out, and new looks
    learn_share_alone: float = 0.8  # likewise, where it is the only object
    learn_likeness: float = 0.4  # of a cell of such a view, likewise
    back_share: float = 0.8  # of the usual likeness, of a proposal by a tracker whose confidence says little
    return_confidence: float = 0.86  # of a proposal for a lost object; larger errs less and finds later
    proposal_frames: int = 2  # in a row in which a proposal must be found; likewise
    trusted_return: float = 0.92  # confidence of a proposal that is believed at once; likewise
    region_likeness: float = 0.35  # from which a cell may belong to a lost object; larger finds less of it
    return_likeness: float = 0.42  # mean inside a region that may be a lost object
    return_peak: float = 0.6  # mean of the region's best cells, likewise
    # How many spreads the peak must be above what was found while the object was away; larger errs less, finds later.
    return_spreads: float = 2.5
    sure_spreads: float = 4.0  # so good a region is believed sooner
    return_frames: int = 4  # in a row in which a region must be found; larger errs less and finds later
    sure_frames: int = 2  # likewise for a sure one
    fit_every: int = 4  # frames between updates of the appearances; larger is faster and follows changes later
    trial_frames: int = 8  # after a return, in which nothing is learned and doubts weigh more
    trial_doubt_frames: int = 2  # in doubt, then, before a mask is hidden again


@dataclass(frozen=True)
class Evidence:
    """What speaks for a mask.

    Args:
        confidence: the tracker's mean probability inside it; None where it says little
            (`BaseTracker.confidence_is_calibrated`).
        likeness: mean inside it.
        rival: of the known objects, the one that it looks like most beside its own; 0 where there is none.
        rival_likeness: of that object.
    """

    confidence: float | None
    likeness: float
    rival: int = 0
    rival_likeness: float = 0.0

    def __str__(self) -> str:
        told = "" if self.confidence is None else f"confidence {self.confidence:.2f}, "
        told += f"likeness {self.likeness:.2f}"
        return told + (f", object {self.rival} {self.rival_likeness:.2f}" if self.rival else "")

    @property
    def lead(self) -> float:
        """How much more it looks like its object than like any other."""
        return self.likeness - self.rival_likeness


@dataclass
class Standing:
    """How an object's identity stands."""

    usual: float = 0.0  # likeness of its sure views
    usual_lead: float = 0.0  # likewise
    recent: float = 0.0  # likeness of all its views, a running mean of the latest
    doubts: int = 0  # frames in a row
    streak: int = 0  # frames in a row in which a proposal or a region was found
    trial: int = 0  # frames left since it returned
    false_peak: float = 0.45  # of the best region while it is away, a running mean
    false_spread: float = 0.1  # likewise, mean absolute deviation

    def state_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Verdict:
    """What the appearance says of an object in a frame.

    Args:
        belief: "certain": the mask is the object, whatever it looks like; "sure": the mask is the object; "same":
            likewise, but its appearance should not be learned; "doubt": it may be, nobody should learn it; "other": it
            is something else; "returned": the mask is that of a lost object, verified; "unknown": nothing to go by.
        reason: with the numbers.
    """

    belief: Literal["certain", "sure", "same", "doubt", "other", "returned", "unknown"]
    reason: str = ""

    @property
    def visible(self) -> bool:
        return self.belief != "other"

    @property
    def learnable(self) -> bool:
        """Whether the tracker may learn it."""
        return self.belief in ("certain", "sure", "same", "unknown")


def judge_tracked(standing: Standing, evidence: Evidence, config: IdentityConfig) -> Verdict:
    """Whether the mask of a tracked object is still that object; `standing` follows."""
    usual = standing.usual if evidence.rival else standing.recent
    min_share = config.min_share if evidence.rival else config.min_share_alone
    standing.recent += (config.recent_rate if standing.recent else 1.0) * (evidence.likeness - standing.recent)
    least = max(config.min_likeness, min_share * usual)
    least_lead = min(config.min_lead, config.min_lead_share * standing.usual_lead)
    in_trial = standing.trial > 0
    standing.trial = max(0, standing.trial - 1)
    confidence = evidence.confidence
    if confidence is not None and confidence >= config.trusted_confidence and evidence.lead > -config.min_lead:
        standing.doubts = standing.trial = 0
        return Verdict("certain", str(evidence))
    if (
        (confidence is not None and confidence < config.min_confidence)
        or evidence.likeness < least
        or (evidence.rival and evidence.lead < least_lead)
    ):
        standing.doubts += 1
        usually = f"{evidence} (usually {usual:.2f}), in doubt for {standing.doubts} frames"
        if standing.doubts >= (config.trial_doubt_frames if in_trial else config.doubt_frames):
            standing.doubts = standing.trial = 0
            return Verdict("other", f"looks like something else: {usually}")
        return Verdict("doubt", usually)
    standing.doubts = 0
    if standing.trial:
        return Verdict("doubt", f"{evidence}, on trial")
    learn_share = config.learn_share if evidence.rival else config.learn_share_alone
    if confidence is not None and confidence < config.learn_confidence:
        return Verdict("doubt", str(evidence))
    if _reaches(evidence, usual, standing.usual_lead, learn_share, learn_share):
        return Verdict("sure", str(evidence))
    teaches = _reaches(evidence, usual, standing.usual_lead, config.teach_share, config.teach_lead_share)
    return Verdict("same" if teaches else "doubt", str(evidence))


def note_sure(standing: Standing, evidence: Evidence) -> None:
    """What is usual follows a sure view."""
    rate = _USUAL_RATE if standing.usual else 1.0
    standing.usual += rate * (evidence.likeness - standing.usual)
    standing.usual_lead += rate * (evidence.lead - standing.usual_lead)


def _note_false(standing: Standing, peak: float, rate: float) -> None:
    """What is found while the object is away."""
    standing.false_spread += rate * (abs(peak - standing.false_peak) - standing.false_spread)
    standing.false_peak += rate * (peak - standing.false_peak)


def _reaches(evidence: Evidence, usual: float, usual_lead: float, share: float, lead_share: float) -> bool:
    """Whether a view is as good as a share of what is usual."""
    leads = not evidence.rival or evidence.lead >= lead_share * usual_lead
    return leads and evidence.likeness >= share * usual


def is_candidate(standing: Standing, evidence: Evidence, config: IdentityConfig) -> bool:
    """Whether what the tracker proposes for a lost object may be that object."""
    if evidence.rival and evidence.lead < 0:
        return False
    if evidence.confidence is None:
        return evidence.likeness >= max(config.min_likeness, config.back_share * standing.usual)
    return evidence.confidence >= config.return_confidence


def judge_proposal(standing: Standing, evidence: Evidence, again: bool, config: IdentityConfig) -> Verdict:
    """Whether a candidate is the lost object; `standing` follows.

    Args:
        again: whether something was found at about the same place in the frame before, too.
    """
    is_trusted = evidence.confidence is not None and evidence.confidence >= config.trusted_return
    return _found(standing, str(evidence), again, 1 if is_trusted else config.proposal_frames, config)


def judge_region(standing: Standing, mean: float, peak: float, again: bool, config: IdentityConfig) -> Verdict:
    """Whether a region is a lost object; `standing` follows.

    Args:
        mean, peak: see `regions.Region`.
        again: as in `judge_proposal`.
    """
    told = f"likeness {mean:.2f}, peak {peak:.2f} (away: {standing.false_peak:.2f})"
    spreads = (peak - standing.false_peak) / max(standing.false_spread, _LEAST_SPREAD)
    if mean < config.return_likeness or peak < config.return_peak or spreads < config.return_spreads:
        standing.streak = 0
        _note_false(standing, peak, _FALSE_RATE)
        return Verdict("other", f"not found: {told}")
    _note_false(standing, peak, _FALSE_RATE / 10)  # what is often so good is not the object
    needed = config.sure_frames if spreads >= config.sure_spreads else config.return_frames
    return _found(standing, told, again, needed, config)


def _found(standing: Standing, told: str, again: bool, needed: int, config: IdentityConfig) -> Verdict:
    """A lost object may be there: believed once it was found in so many frames in a row."""
    standing.streak = standing.streak + 1 if again else 1
    if standing.streak < needed:
        return Verdict("other", f"perhaps: {told}, {standing.streak} of {needed} frames")
    standing.streak, standing.doubts, standing.trial = 0, 0, config.trial_frames
    return Verdict("returned", f"returned: {told}" + f", {needed} frames in a row" * (needed > 1))
