"""Words for what can be seen: synonyms, plurals and groups of the COCO classes, colours, and what is near a word.

A word that is not here is never guessed at: embeddings only suggest (cosine similarity of MiniLM takes "submarine"
for a boat), and the answer says that the word cannot be detected.
"""

from __future__ import annotations

import difflib
import functools

import numpy as np

from memory_bank.episodes.colours import NAMES as COLOUR_NAMES
from streamvos.models.coco import GROUP_OF, NAMES
from streamvos.models.minilm import SentenceEncoder

PICTURE = r"(?:video|clip|film|movie|recording|footage|stream|picture|frame|image|view|scene|camera|shot|screen)"
ANYTHING = frozenset({"object", "thing", "anything", "something", "everything", "item"})

_GROUP_WORDS = {
    "vehicle": "vehicle",
    "animal": "animal",
    "accessory": "accessory",
    "food": "food",
    "furniture": "furniture",
    "appliance": "appliance",
    "electronic": "electronic",
    "cutlery": "kitchen",
}
# class: other words for it; those of two words are joined by "_"
_SYNONYMS: dict[str, str] = {
    "person": "man woman child kid boy girl human people pedestrian someone anyone anybody somebody guy lady cyclist "
    "rider driver",
    "bicycle": "bike cycle pushbike",
    "motorcycle": "motorbike moped",
    "car": "auto automobile taxi cab",
    "truck": "lorry",
    "airplane": "plane aeroplane aircraft jet",
    "bus": "coach",
    "boat": "ship",
    "dog": "puppy doggy hound",
    "cat": "kitten kitty",
    "horse": "pony",
    "sheep": "lamb",
    "cow": "cattle bull",
    "sports ball": "ball football basketball",
    "skis": "ski",
    "tennis racket": "racket",
    "suitcase": "luggage",
    "handbag": "purse",
    "backpack": "rucksack",
    "wine glass": "glass",
    "cup": "mug",
    "cell phone": "phone mobile smartphone cellphone",
    "tv": "television",
    "laptop": "computer notebook",
    "couch": "sofa settee",
    "dining table": "table",
    "potted plant": "plant houseplant",
    "refrigerator": "fridge",
    "donut": "doughnut",
    "hair drier": "hairdryer",
    "teddy bear": "teddy",
    "fire hydrant": "hydrant",
    "traffic light": "traffic_signal stoplight",
    "remote": "remote_control",
}
# words that may mean several classes
_UNSURE: dict[str, tuple[str, ...]] = {
    "pet": ("dog", "cat"),
    "bag": ("handbag", "backpack", "suitcase"),
}
# words that mean less than the class that can be detected: answers say that the difference cannot be told
_NARROWER = """
man woman child kid boy girl guy lady cyclist rider driver pedestrian puppy kitten pony lamb bull taxi cab coach jet
football basketball mug rucksack
"""
NARROWER = frozenset(_NARROWER.split())
_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "mice": "mouse",
    "knives": "knife",
    "buses": "bus",
    "busses": "bus",
    "skis": "skis",
    "scissors": "scissors",
    "sheep": "sheep",
    "cattle": "cattle",
    "people": "person",
    "persons": "person",
    "sandwiches": "sandwich",
    "benches": "bench",
    "couches": "couch",
    "toothbrushes": "toothbrush",
    "glasses": "glass",
    "puppies": "puppy",
    "ponies": "pony",
    "lorries": "lorry",
    "ladies": "lady",
    "accessories": "accessory",
    "electronics": "electronic",
    "bus": "bus",
    "broccoli": "broccoli",
    "kitties": "kitty",
}
COLOURS: dict[str, str] = {name: name for name in COLOUR_NAMES} | {
    "gray": "grey",
    "silver": "grey",
    "violet": "purple",
    "turquoise": "cyan",
    "beige": "brown",
}

_COUNTED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBERS: dict[str, float] = {word: value for value, word in enumerate(_COUNTED)} | {
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "sixty": 60,
    "half a": 0.5,
    "a couple of": 2,
}
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "last": -1}

# words of grammar: where no rule uses one, the question is not understood, but nothing is claimed about a thing
_GRAMMAR = """
a about above across actually after again all almost along also although always am among an and another any
apart are around as aside at away back be because been before being below beneath beside besides between beyond
both but by can come comes coming could did do does doing during each either else enough ever every except
excluding few fewer fewest first for from go goes gone had has have having he her here hers him his how however
i if in including instead into is it its itself just last least less let like many may maybe me might mine more
most much must my near nearly neither never next no nobody none nor not nothing now of off often on once one
only onto or other others otherwise our out over own per perhaps please quite rather same several shall she
should since so some still such than that the their them then there therefore these they this those though
through till to together too toward towards under unless unlike until up upon us very was we were what when
where whether which while who whom whose why will with within without would yet you your appear appeared
appearing appears came disappear disappeared disappears enter entered enters happen happened happening happens
leave leaves leaving left return returned returning returns saw see seen show showed shown shows visible went
exactly approximately roughly hs view sight
"""
GRAMMAR = frozenset(_GRAMMAR.split())


def is_noun(phrase: str) -> bool:
    """Whether words that no rule uses may name a thing that is not in the vocabulary."""
    return any(
        word not in GRAMMAR
        and classes_of(word) is None
        and singular(word) not in ANYTHING
        and any(letter.isalpha() for letter in word)
        for word in phrase.split()
    )


def singular(word: str) -> str:
    """The singular of a noun of this vocabulary; other words lose a plural ending where they have one."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _table() or not word.endswith("s") or word.endswith("ss"):
        return word
    if word.endswith("es") and word[:-2] in _table():
        return word[:-2]
    return word[:-1]


def is_plural(word: str) -> bool:
    """Whether a noun stands for several things; "people" and "dogs" do, "sheep" may stand for one."""
    return singular(word.split()[-1]) != word.split()[-1]


def classes_of(noun: str) -> frozenset[str] | None:
    """The classes that a noun of one or two words means; None where it is not in the vocabulary."""
    head, _, tail = noun.rpartition(" ")
    for form in (noun, f"{head} {singular(tail)}".strip()):
        if form in _table():
            return _table()[form]
    return None


def suggest(word: str, encoder: SentenceEncoder | None) -> str | None:
    """The nearest noun that can be detected, as a "did you mean"; None where nothing is near."""
    near = difflib.get_close_matches(singular(word), list(_table()), n=1, cutoff=0.7)
    if near and (_nearness(singular(word), near[0]) >= 0.8 or sorted(singular(word)) == sorted(near[0])):
        return near[0]  # one letter off, or the same letters in another order
    if encoder is None:
        return None
    nearness = _name_vectors(encoder) @ encoder.encode([word])[0]  # (80,)
    best = int(nearness.argmax())
    return NAMES[best] if nearness[best] > 0.6 else None


def _nearness(word: str, other: str) -> float:
    return difflib.SequenceMatcher(None, word, other).ratio()


@functools.cache
def _name_vectors(encoder: SentenceEncoder) -> np.ndarray:
    return encoder.encode(NAMES)


@functools.cache
def _table() -> dict[str, frozenset[str]]:
    table = {name: frozenset({name}) for name in NAMES}
    for name, words in _SYNONYMS.items():
        table |= {word.replace("_", " "): frozenset({name}) for word in words.split()}
    table |= {word: frozenset(names) for word, names in _UNSURE.items()}
    for word, group in _GROUP_WORDS.items():
        table[word] = frozenset(name for name in NAMES if GROUP_OF[name] == group)
    unknown = sorted(name for names in table.values() for name in names if name not in GROUP_OF)
    assert not unknown, f"synonyms of classes that do not exist: {unknown}"
    return table
