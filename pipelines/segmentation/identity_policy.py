"""Is this mask still that object, and is that region it again? Numbers in, decisions out; no pixels here.

After HQ-SMem (Kazemi et al., 2025), whose appearance model confirms a mask; ours also names the distractor: a mask
that looks more like another known object is that object.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

_USUAL_RATE = 0.1
_FALSE_RATE = 0.03
_LEAST_SPREAD = 0.05


@dataclass(frozen=True)
class IdentityRules:
    """How sure the appearance must be. Similarity is 1 for cells like the object and 0 for any others.

    Chosen on composed clips set aside for development, by J&F, by returns found and by returns of the wrong object;
    two after a look at two DAVIS sequences (docs/architecture.md). What the check as a whole is worth on others is in
    docs/ablation.md.
    """

    # The tracker's own mean probability inside a mask is the best single witness (see docs/ablation.md): where it is
    # right, that is seldom below 0.9, taken after looks have had their say (`weight`). Larger hides drifted masks
    # sooner, and blurred or tiny ones.
    min_confidence: float = 0.85
    learn_confidence: float = 0.92  # from which a view may teach; larger keeps slides out, and new looks
    # So sure a mask is the object whatever it looks like, and teaches what it looks like now; larger adapts less.
    trusted_confidence: float = 0.955
    min_similarity: float = 0.15  # inside a tracked mask; larger hides drifted masks sooner, and strange views
    min_share: float = 0.3  # of its usual similarity, likewise, where there are others to be taken for it
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
    teach_share: float = 0.5  # of the usual similarity from which the tracker may learn a view; larger follows less
    teach_lead_share: float = 0.7  # of the usual lead over others, likewise; larger keeps slides out
    learn_share: float = 0.7  # of both, from which the appearance itself may; larger keeps slides out, and new looks
    learn_share_alone: float = 0.8  # likewise, where it is the only object
    learn_similarity: float = 0.4  # of a cell of such a view, likewise
    back_share: float = 0.8  # of the usual similarity, of a proposal by a tracker whose confidence says little
    return_confidence: float = 0.86  # of a proposal for a lost object; larger errs less and finds later
    proposal_frames: int = 2  # in a row in which a proposal must be found; likewise
    trusted_return: float = 0.92  # confidence of a proposal that is believed at once; likewise
    region_similarity: float = 0.35  # from which a cell may belong to a lost object; larger finds less of it
    return_similarity: float = 0.42  # mean inside a region that may be a lost object
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
class MaskEvidence:
    """What speaks for a mask.

    Args:
        confidence: the tracker's mean probability inside it; None where it says little
            (`BaseTracker.confidence_is_calibrated`).
        similarity: mean inside it.
        distractor: of the known objects, the one that it looks like most beside its own; 0 where there is none.
        distractor_similarity: of that object.
    """

    confidence: float | None
    similarity: float
    distractor: int = 0
    distractor_similarity: float = 0.0

    def __str__(self) -> str:
        told = "" if self.confidence is None else f"confidence {self.confidence:.2f}, "
        told += f"similarity {self.similarity:.2f}"
        return told + (f", object {self.distractor} {self.distractor_similarity:.2f}" if self.distractor else "")

    @property
    def lead(self) -> float:
        """How much more it looks like its object than like any other."""
        return self.similarity - self.distractor_similarity


@dataclass
class IdentityState:
    """How an object's identity stands."""

    usual: float = 0.0  # similarity of its sure views
    usual_lead: float = 0.0  # likewise
    recent: float = 0.0  # similarity of all its views, a running mean of the latest
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


def judge_tracked(state: IdentityState, evidence: MaskEvidence, rules: IdentityRules) -> Verdict:
    """Whether the mask of a tracked object is still that object; `state` follows."""
    usual = state.usual if evidence.distractor else state.recent
    min_share = rules.min_share if evidence.distractor else rules.min_share_alone
    state.recent += (rules.recent_rate if state.recent else 1.0) * (evidence.similarity - state.recent)
    least = max(rules.min_similarity, min_share * usual)
    least_lead = min(rules.min_lead, rules.min_lead_share * state.usual_lead)
    in_trial = state.trial > 0
    state.trial = max(0, state.trial - 1)
    confidence = evidence.confidence
    if confidence is not None and confidence >= rules.trusted_confidence and evidence.lead > -rules.min_lead:
        state.doubts = state.trial = 0
        return Verdict("certain", str(evidence))
    if (
        (confidence is not None and confidence < rules.min_confidence)
        or evidence.similarity < least
        or (evidence.distractor and evidence.lead < least_lead)
    ):
        state.doubts += 1
        usually = f"{evidence} (usually {usual:.2f}), in doubt for {state.doubts} frames"
        if state.doubts >= (rules.trial_doubt_frames if in_trial else rules.doubt_frames):
            state.doubts = state.trial = 0
            return Verdict("other", f"looks like something else: {usually}")
        return Verdict("doubt", usually)
    state.doubts = 0
    if state.trial:
        return Verdict("doubt", f"{evidence}, on trial")
    learn_share = rules.learn_share if evidence.distractor else rules.learn_share_alone
    if confidence is not None and confidence < rules.learn_confidence:
        return Verdict("doubt", str(evidence))
    if _reaches(evidence, usual, state.usual_lead, learn_share, learn_share):
        return Verdict("sure", str(evidence))
    teaches = _reaches(evidence, usual, state.usual_lead, rules.teach_share, rules.teach_lead_share)
    return Verdict("same" if teaches else "doubt", str(evidence))


def note_sure(state: IdentityState, evidence: MaskEvidence) -> None:
    """What is usual follows a sure view."""
    rate = _USUAL_RATE if state.usual else 1.0
    state.usual += rate * (evidence.similarity - state.usual)
    state.usual_lead += rate * (evidence.lead - state.usual_lead)


def _note_false(state: IdentityState, peak: float, rate: float) -> None:
    """What is found while the object is away."""
    state.false_spread += rate * (abs(peak - state.false_peak) - state.false_spread)
    state.false_peak += rate * (peak - state.false_peak)


def _reaches(evidence: MaskEvidence, usual: float, usual_lead: float, share: float, lead_share: float) -> bool:
    """Whether a view is as good as a share of what is usual."""
    leads = not evidence.distractor or evidence.lead >= lead_share * usual_lead
    return leads and evidence.similarity >= share * usual


def is_candidate(state: IdentityState, evidence: MaskEvidence, rules: IdentityRules) -> bool:
    """Whether what the tracker proposes for a lost object may be that object."""
    if evidence.distractor and evidence.lead < 0:
        return False
    if evidence.confidence is None:
        return evidence.similarity >= max(rules.min_similarity, rules.back_share * state.usual)
    return evidence.confidence >= rules.return_confidence


def judge_proposal(state: IdentityState, evidence: MaskEvidence, again: bool, rules: IdentityRules) -> Verdict:
    """Whether a candidate is the lost object; `state` follows.

    Args:
        again: whether something was found at about the same place in the frame before, too.
    """
    is_trusted = evidence.confidence is not None and evidence.confidence >= rules.trusted_return
    return _found(state, str(evidence), again, 1 if is_trusted else rules.proposal_frames, rules)


def judge_region(state: IdentityState, mean: float, peak: float, again: bool, rules: IdentityRules) -> Verdict:
    """Whether a region is a lost object; `state` follows.

    Args:
        mean, peak: see `regions.Region`.
        again: as in `judge_proposal`.
    """
    told = f"similarity {mean:.2f}, peak {peak:.2f} (away: {state.false_peak:.2f})"
    spreads = (peak - state.false_peak) / max(state.false_spread, _LEAST_SPREAD)
    if mean < rules.return_similarity or peak < rules.return_peak or spreads < rules.return_spreads:
        state.streak = 0
        _note_false(state, peak, _FALSE_RATE)
        return Verdict("other", f"not found: {told}")
    _note_false(state, peak, _FALSE_RATE / 10)  # what is often so good is not the object
    needed = rules.sure_frames if spreads >= rules.sure_spreads else rules.return_frames
    return _found(state, told, again, needed, rules)


def _found(state: IdentityState, told: str, again: bool, needed: int, rules: IdentityRules) -> Verdict:
    """A lost object may be there: believed once it was found in so many frames in a row."""
    state.streak = state.streak + 1 if again else 1
    if state.streak < needed:
        return Verdict("other", f"perhaps: {told}, {state.streak} of {needed} frames")
    state.streak, state.doubts, state.trial = 0, 0, rules.trial_frames
    return Verdict("returned", f"returned: {told}" + f", {needed} frames in a row" * (needed > 1))
