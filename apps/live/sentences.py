"""What a memory decided, as a sentence for somebody who knows nothing of how it works.

The sentence leaves out numbers and names of parts; the page has them folded beneath it, as the memory gave them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from streamvos.records import MemoryEvent

_OBJECT = re.compile(r"[Oo]bject (\d+)(?: \([^)]*\))?")
_BRACKETS = re.compile(r" \([^)]*\d[^)]*\)|, \d[\d.]* [KM]iB")
_ACTIONS = {
    "write": "Kept",
    "skip": "Passed over",
    "merge": "Merged",
    "evict": "Dropped",
    "refine": "Refined",
    "reject": "Refused",
    "remove": "Forgot",
    "reset": "Began anew with",
}


def sentence(event: MemoryEvent, names: Mapping[int, str]) -> str:
    """What an event says.

    Args:
        event: of any memory.
        names: of the objects, by id; those without are called "object".
    """
    match = _OBJECT.search(event.entry)
    who = called(int(match[1]), names) if match else event.entry
    speak = _SPEAK.get(event.bank, _anything)
    text = _OBJECT.sub(lambda found: called(int(found[1]), names), speak(event, who))
    return text[:1].upper() + text[1:]


def called(object_id: int, names: Mapping[int, str]) -> str:
    """An object in words: "the dog (#2)"."""
    return f"the {names.get(object_id) or 'object'} (#{object_id})"


def _anything(event: MemoryEvent, who: str) -> str:
    return f"{_ACTIONS.get(event.action, event.action)} {event.entry}: {event.reason}"


def _why(event: MemoryEvent) -> str:
    """The part of a reason that follows what was done, without its numbers."""
    because = event.reason.partition(": ")[2] or event.reason
    return _BRACKETS.sub("", because).replace("it shows something new", "it looks different from before")


def _keyframes(event: MemoryEvent, who: str) -> str:
    done = {"write": "kept a picture of", "skip": "took no picture of", "evict": "dropped a picture of"}
    if event.action not in done:
        return _anything(event, who)
    if "first view" in event.reason:
        return f"kept the first picture of {who}: it stays for good"
    return f"{done[event.action]} {who}: {_why(event)}"


def _appearance(event: MemoryEvent, who: str) -> str:
    if event.action == "merge":
        return f"learned more of what {who} looks like"
    if event.action == "write":
        return f"learned what {who} looks like"
    return f"forgot what {who} looks like: {_why(event)}"


def _retired(event: MemoryEvent, who: str) -> str:
    if event.action == "write":
        return f"{who} is gone, and will be recognised should it return"
    return f"forgot {who}: {_why(event)}"


def _objects(event: MemoryEvent, who: str) -> str:
    if event.action == "write":
        return f"began to follow {who}" + (": found by the detector" if "detector" in event.reason else "")
    if event.action == "skip" and "occluded" in event.reason:
        return f"{who} is hidden, at least in part"
    if event.action == "skip" and " is lost" in event.reason:
        return f"{who} is out of sight"
    if event.action == "refine":
        return f"drew the mask of {who} with more care"
    if event.action == "reject":
        return f"could not follow {who}: {event.reason}"
    return f"forgot {who}: {event.reason}" if event.action in ("evict", "remove") else _anything(event, who)


def _features(event: MemoryEvent, who: str) -> str:
    told = {
        "write": "learned details of the things in this picture, to find such things more surely",
        "skip": "learned nothing from this picture",
        "evict": "let older details go, to make room",
        "remove": f"forgot the details of {who}",
    }
    return told.get(event.action) or _anything(event, who)


def _expected_places(event: MemoryEvent, who: str) -> str:
    what = re.sub(r"^expected places? of ", "", event.entry)
    told = {
        "write": f"expects {what} to stay about here",
        "merge": f"found {what} where expected",
        "evict": f"expects {what} here no longer" + (": a cut" if "cut" in event.reason else ": not found again"),
        "reject": f"has no room to expect {what}",
        "remove": f"expects {what} here no longer",
    }
    return told.get(event.action) or _anything(event, who)


def _scene(event: MemoryEvent, who: str) -> str:
    if event.action == "reset":
        return f"began a new map of the place: {event.reason.partition(':')[0]}"
    if event.entry.startswith("static points"):
        told = {"write": "measured more of the place in 3D", "merge": "measured the place again, and found it the same"}
        told |= {"skip": "could measure nothing of the place", "evict": "dropped points of the place"}
    elif event.entry.startswith("key frame"):
        told = {"write": "kept this view of the place, to find the way back"}
        told |= {"evict": "dropped a view of the place, to make room"}
    else:
        told = {"write": f"placed {who} in the 3D map", "evict": f"took {who} out of the 3D map"}
    return told.get(event.action) or _anything(event, who)


def _episodes(event: MemoryEvent, who: str) -> str:
    reason = _BRACKETS.sub("", event.reason)
    if event.action == "write" and event.entry.startswith("key frame"):
        return f"kept a picture to answer with: {reason.partition(', ')[0]}"
    if event.action == "write" and event.entry.startswith("object"):
        return f"wrote down: {who} {reason.partition(': ')[0] if reason.startswith('appeared') else reason}"
    if event.action == "write" and event.entry.startswith("summary"):
        return f"wrote a summary: {reason.partition(';')[0]}"
    if event.action == "reject":
        return f"did not write down {who}: {reason.partition(': ')[0]}"
    return _anything(event, who)


_SPEAK: dict[str, Callable[[MemoryEvent, str], str]] = {
    "keyframes": _keyframes,
    "appearance": _appearance,
    "retired": _retired,
    "objects": _objects,
    "features": _features,
    "expected_places": _expected_places,
    "scene": _scene,
    "episodes": _episodes,
}
