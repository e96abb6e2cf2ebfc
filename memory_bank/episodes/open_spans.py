"""Which things are visible now: opens, bridges and closes spans, in memory of constant size.

An `OpenSpan` starts at the first sighting of a thing, is confirmed once it lasted long enough, survives short
absences, and ends with a reason. One that ends too early to be confirmed waits, because the same object may be
confirmed later in the shot: then it was there all the time. Nothing here knows the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from memory_bank.episodes import policy
from memory_bank.episodes.moment import Moment, Sighting
from memory_bank.episodes.policy import Box, EpisodeConfig

MAX_BRIEF = 32  # objects whose brief span waits; each holds two small pictures


@dataclass(frozen=True)
class NewObservation:
    """Where a thing was at one time, as the store will get it."""

    t_ms: int
    frame: int
    box: Box
    area: float
    score: float
    colour: str | None
    count: int


@dataclass
class OpenSpan:
    """One stretch of time in which a thing is visible, from its first sighting to its latest."""

    key: int | str
    object_id: int | None
    class_name: str
    shot: int
    first_ms: int
    first_frame: int
    last_ms: int
    last_frame: int
    first_box: Box
    state: str
    last: NewObservation
    num_seen: int = 0
    score_sum: float = 0.0
    max_count: int = 1
    prompted: bool = False
    label: str | None = None
    votes: dict[str, float] = field(default_factory=dict)
    colours: dict[str, float] = field(default_factory=dict)
    waiting: list[NewObservation] = field(default_factory=list)  # not yet stored
    last_observation_ms: int = -1
    first_picture: int = -1  # frame whose picture shows the start
    last_picture: int = -1  # frame whose picture shows it latest
    entity_id: int | None = None
    track_id: int | None = None
    span_id: int | None = None  # None until the span is confirmed
    count_told: int = 0
    ended: str | None = None  # why it ended, while it waits among the brief ones

    @property
    def score(self) -> float:
        """Mean score of the sightings."""
        return self.score_sum / max(self.num_seen, 1)

    @property
    def name(self) -> str:
        """As events name the thing: "object 3 (dog)"; the class where things are only counted."""
        if self.object_id is None:
            return self.class_name
        return f"object {self.object_id}" + (f" ({self.class_name})" if self.class_name else "")


class OpenSpans:
    """The spans that are open now, by thing; with the pictures that they may still cite."""

    def __init__(self, config: EpisodeConfig) -> None:
        self.config = config
        self.by_key: dict[int | str, OpenSpan] = {}
        self.brief: dict[int, OpenSpan] = {}  # earliest unconfirmed span in this shot, by object
        self.pictures: dict[int, bytes] = {}  # JPEG by frame
        self.last_sample_ms: int | None = None

    def sample_due(self, t_ms: int) -> bool:
        """Whether an observation of each thing is due."""
        return self.last_sample_ms is None or t_ms - self.last_sample_ms >= round(1000 * self.config.sample_s)

    def wants_pixels(self, key: int | str, t_ms: int) -> bool:
        """Whether the colour of a thing is wanted in the frame at `t_ms`."""
        return key not in self.by_key or self.sample_due(t_ms)

    def see(self, moment: Moment) -> list[OpenSpan]:
        """Take the sightings of a frame; returns the spans that are confirmed from now on."""
        due = self.sample_due(moment.t_ms)
        confirmed = []
        for sighting in moment.sightings or ():
            span = self.by_key.get(sighting.key)
            if sighting.state != "tracked":
                if span is not None:
                    span.state = sighting.state
                continue
            is_new = span is None
            if span is None:
                span = self.by_key[sighting.key] = _begin(moment, sighting)
            _update(span, moment, sighting)
            if is_new or due:
                self.pictures.setdefault(moment.frame_index, moment.picture())
                span.last_picture = moment.frame_index
                span.first_picture = moment.frame_index if is_new else span.first_picture
                span.waiting.append(span.last)
                span.last_observation_ms = moment.t_ms
            if span.span_id is None and self._is_confirmed(span):
                confirmed.append(span)
        if due:
            self.last_sample_ms = moment.t_ms
        return confirmed

    def overdue(self, t_ms: int, allowed_ms: float) -> list[OpenSpan]:
        """Spans whose thing has not been seen for longer than may be bridged."""
        return [span for span in self.by_key.values() if t_ms - span.last_ms > allowed_ms]

    def end(self, spans: Iterable[OpenSpan]) -> None:
        """Let go of spans, and of the pictures that only they cite."""
        for span in spans:
            self.by_key.pop(span.key, None)
        self.drop_pictures()

    def keep_brief(self, span: OpenSpan, ended: str) -> None:
        """Let an unconfirmed span of an object wait; the earliest of a shot stays, of few objects."""
        if span.object_id is None or span.object_id in self.brief:
            return
        span.ended = ended
        self.brief[span.object_id] = span
        if len(self.brief) > MAX_BRIEF:
            del self.brief[next(iter(self.brief))]

    def take_brief(self, span: OpenSpan) -> OpenSpan | None:
        """The span of the same object and shot that waited for this one to be confirmed."""
        earlier = None if span.object_id is None else self.brief.pop(span.object_id, None)
        return earlier if earlier is not None and earlier.shot == span.shot else None

    def forget(self, object_id: int) -> None:
        """Let go of everything about an object."""
        self.brief.pop(object_id, None)
        self.by_key.pop(object_id, None)
        self.drop_pictures()

    def drop_pictures(self) -> None:
        """Let go of the pictures that no span cites any more."""
        spans = [*self.by_key.values(), *self.brief.values()]
        cited = {frame for span in spans for frame in (span.first_picture, span.last_picture)}
        self.pictures = {frame: data for frame, data in self.pictures.items() if frame in cited}

    def state_dict(self) -> dict[str, Any]:
        return {
            "open": [asdict(span) for span in self.by_key.values()],
            "brief": [asdict(span) for span in self.brief.values()],
            "pictures": dict(self.pictures),
            "last_sample_ms": self.last_sample_ms,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.by_key = {span.key: span for span in map(_restored, state["open"])}
        self.brief = {span.object_id: span for span in map(_restored, state["brief"]) if span.object_id is not None}
        self.pictures = dict(state["pictures"])
        self.last_sample_ms = state["last_sample_ms"]

    def _is_confirmed(self, span: OpenSpan) -> bool:
        return policy.is_confirmed(span.first_ms, span.last_ms, span.num_seen, span.prompted, self.config.min_life_s)


def _restored(plain: dict[str, Any]) -> OpenSpan:
    own = {
        "last": NewObservation(**plain["last"]),
        "waiting": [NewObservation(**one) for one in plain["waiting"]],
        "votes": dict(plain["votes"]),
        "colours": dict(plain["colours"]),
    }
    return OpenSpan(**{**plain, **own})


def _begin(moment: Moment, sighting: Sighting) -> OpenSpan:
    return OpenSpan(
        key=sighting.key,
        object_id=sighting.object_id,
        class_name=sighting.class_name,
        shot=moment.shot,
        first_ms=moment.t_ms,
        first_frame=moment.frame_index,
        last_ms=moment.t_ms,
        last_frame=moment.frame_index,
        first_box=sighting.box,
        state=sighting.state,
        last=_observed(moment, sighting),
    )


def _update(span: OpenSpan, moment: Moment, sighting: Sighting) -> None:
    span.last_ms, span.last_frame, span.state = moment.t_ms, moment.frame_index, sighting.state
    span.last = _observed(moment, sighting)
    span.num_seen += 1
    span.score_sum += sighting.score
    span.max_count = max(span.max_count, sighting.count)
    span.prompted |= sighting.prompted
    span.label = sighting.label or span.label
    if sighting.class_name:
        span.votes[sighting.class_name] = span.votes.get(sighting.class_name, 0.0) + sighting.score
    if sighting.colour:
        span.colours[sighting.colour] = span.colours.get(sighting.colour, 0.0) + 1.0


def _observed(moment: Moment, sighting: Sighting) -> NewObservation:
    return NewObservation(
        moment.t_ms,
        moment.frame_index,
        sighting.box,
        sighting.area,
        sighting.score,
        sighting.colour,
        sighting.count,
    )
