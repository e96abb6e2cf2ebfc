"""Which things are here now: opens, bridges and closes appearances, in memory of constant size.

A `Life` is one appearance: it starts at the first sighting, is believed once it lasted long enough, survives
short absences, and ends with a reason. One that ends too early to be believed waits, because the same object may
be confirmed later in the shot: then it was there all the time. Nothing here knows the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from memory_bank.episodes import policies
from memory_bank.episodes.moment import Moment, Sighting
from memory_bank.episodes.policies import Box, EpisodeConfig

MAX_BRIEF = 32  # objects whose brief appearance waits; each holds two small pictures


@dataclass
class Note:
    """Where a thing was at one time."""

    t_ms: int
    frame: int
    box: Box
    area: float
    score: float
    colour: str | None
    count: int


@dataclass
class Life:
    """One appearance of a thing, from its first sighting to its last."""

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
    last: Note
    num_seen: int = 0
    score_sum: float = 0.0
    max_count: int = 1
    prompted: bool = False
    label: str | None = None
    votes: dict[str, float] = field(default_factory=dict)
    colours: dict[str, float] = field(default_factory=dict)
    waiting: list[Note] = field(default_factory=list)  # notes not yet stored
    last_note_ms: int = -1
    first_picture: int = -1  # frame whose picture shows the start
    last_picture: int = -1  # frame whose picture shows it latest
    entity_id: int | None = None
    track_id: int | None = None
    span_id: int | None = None  # None until the life is believed
    count_told: int = 0
    ended: str | None = None  # why it ended, while it waits among the brief ones

    @property
    def score(self) -> float:
        return self.score_sum / max(self.num_seen, 1)


@dataclass
class LifeBook:
    """The appearances that go on now, by object."""

    config: EpisodeConfig
    lives: dict[int | str, Life] = field(default_factory=dict)
    brief: dict[int, Life] = field(default_factory=dict)  # earliest unbelieved appearance in this shot, by object
    pictures: dict[int, bytes] = field(default_factory=dict)  # JPEG by frame, those that a life may still cite
    last_sample_ms: int | None = None

    def sample_due(self, t_ms: int) -> bool:
        """Whether the notes of all things are due."""
        return self.last_sample_ms is None or t_ms - self.last_sample_ms >= round(1000 * self.config.sample_s)

    def wants_pixels(self, key: int | str, t_ms: int) -> bool:
        """Whether the colour of a thing is wanted in the frame at `t_ms`."""
        return key not in self.lives or self.sample_due(t_ms)

    def see(self, moment: Moment) -> list[Life]:
        """Take the sightings of a frame; returns the lives that are believed from now on."""
        due = self.sample_due(moment.t_ms)
        believed = []
        for sighting in moment.sightings or ():
            life = self.lives.get(sighting.key)
            if sighting.state != "tracked":
                if life is not None:
                    life.state = sighting.state
                continue
            is_new = life is None
            if life is None:
                life = self.lives[sighting.key] = _begin(moment, sighting)
            _update(life, moment, sighting)
            if is_new or due:
                self.pictures.setdefault(moment.frame_index, moment.picture())
                life.last_picture = moment.frame_index
                life.first_picture = moment.frame_index if is_new else life.first_picture
                life.waiting.append(life.last)
                life.last_note_ms = moment.t_ms
            if life.span_id is None and self._is_believed(life):
                believed.append(life)
        if due:
            self.last_sample_ms = moment.t_ms
        return believed

    def overdue(self, t_ms: int, allowed_ms: float) -> list[Life]:
        """Lives whose thing has not been seen for longer than may be bridged."""
        return [life for life in self.lives.values() if t_ms - life.last_ms > allowed_ms]

    def end(self, lives: Iterable[Life]) -> None:
        """Take lives out of the book."""
        for life in lives:
            self.lives.pop(life.key, None)
        self.drop_pictures()

    def keep_brief(self, life: Life, ended: str) -> None:
        """Let an unbelieved appearance of an object wait; the earliest of a shot stays, of few objects."""
        if life.object_id is None or life.object_id in self.brief:
            return
        life.ended = ended
        self.brief[life.object_id] = life
        if len(self.brief) > MAX_BRIEF:
            del self.brief[next(iter(self.brief))]

    def take_brief(self, life: Life) -> Life | None:
        """The appearance of the same object and shot that waited for this one to be believed."""
        earlier = None if life.object_id is None else self.brief.pop(life.object_id, None)
        return earlier if earlier is not None and earlier.shot == life.shot else None

    def drop_pictures(self) -> None:
        """Let go of the pictures that no life cites any more."""
        lives = [*self.lives.values(), *self.brief.values()]
        cited = {frame for life in lives for frame in (life.first_picture, life.last_picture)}
        self.pictures = {frame: data for frame, data in self.pictures.items() if frame in cited}

    def state_dict(self) -> dict[str, Any]:
        return {
            "lives": [asdict(life) for life in self.lives.values()],
            "brief": [asdict(life) for life in self.brief.values()],
            "pictures": dict(self.pictures),
            "last_sample_ms": self.last_sample_ms,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.lives = {life.key: life for life in map(_restored, state["lives"])}
        self.brief = {life.object_id: life for life in map(_restored, state["brief"]) if life.object_id is not None}
        self.pictures = dict(state["pictures"])
        self.last_sample_ms = state["last_sample_ms"]

    def _is_believed(self, life: Life) -> bool:
        return policies.is_confirmed(life.first_ms, life.last_ms, life.num_seen, life.prompted, self.config.min_life_s)


def _restored(plain: dict[str, Any]) -> Life:
    last = Note(**plain["last"])
    waiting = [Note(**note) for note in plain["waiting"]]
    if waiting and waiting[-1] == last:
        waiting[-1] = last
    copied = {name: dict(plain[name]) for name in ("votes", "colours")}
    return Life(**{**plain, **copied, "last": last, "waiting": waiting})


def _begin(moment: Moment, sighting: Sighting) -> Life:
    return Life(
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
        last=_note(moment, sighting),
    )


def _update(life: Life, moment: Moment, sighting: Sighting) -> None:
    life.last_ms, life.last_frame, life.state = moment.t_ms, moment.frame_index, sighting.state
    life.last = _note(moment, sighting)
    life.num_seen += 1
    life.score_sum += sighting.score
    life.max_count = max(life.max_count, sighting.count)
    life.prompted |= sighting.prompted
    life.label = sighting.label or life.label
    if sighting.class_name:
        life.votes[sighting.class_name] = life.votes.get(sighting.class_name, 0.0) + sighting.score
    if sighting.colour:
        life.colours[sighting.colour] = life.colours.get(sighting.colour, 0.0) + 1.0


def _note(moment: Moment, sighting: Sighting) -> Note:
    return Note(
        moment.t_ms,
        moment.frame_index,
        sighting.box,
        sighting.area,
        sighting.score,
        sighting.colour,
        sighting.count,
    )
