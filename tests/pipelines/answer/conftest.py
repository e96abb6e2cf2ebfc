"""A made-up film of which every fact is known, told to the memory moment by moment.

10 frames a second, 60.0 s, one cut at 0:40. Nothing was looked at from 0:50 to 0:55.
object 1  dog      0:05.0 - 0:20.0 from left to right, leaves at the right border; back 0:30.0 - 0:35.0; brown
object 2  person   0:02.0 - 0:39.9 (until the cut), in the middle, blue
object 3  car      0:10.0 - 0:15.0 on the left, red
object 4  car      0:12.0 - 0:18.0 on the right, white
object 5  bicycle  0:42.0 - 0:49.9 and 0:55.0 - 0:59.9 (the gap lies between), at the top, green
object 6  (no class) labelled Rex, 0:44.0 - 0:46.0, hidden at the end
"""

import pytest

from memory_bank.episodes import EpisodeMemory, Moment, Sighting

FPS = 10
END = 600


def _one(object_id, class_name, box, colour, state="tracked", label=None):
    return Sighting(object_id, class_name, state, 0.9, box, 0.04, colour, label)


def seen_at(index):
    t = index / FPS
    here = []
    if 5 <= t <= 20:
        x = (t - 5) / 15 * 0.8
        here.append(_one(1, "dog", (x, 0.4, x + 0.2, 0.6), "brown"))
    if 30 <= t <= 35:
        here.append(_one(1, "dog", (0.4, 0.4, 0.6, 0.6), "brown"))
    if 2 <= t < 40:
        here.append(_one(2, "person", (0.4, 0.35, 0.6, 0.65), "blue"))
    if 10 <= t <= 15:
        here.append(_one(3, "car", (0.05, 0.4, 0.25, 0.6), "red"))
    if 12 <= t <= 18:
        here.append(_one(4, "car", (0.75, 0.4, 0.95, 0.6), "white"))
    if t >= 42:
        here.append(_one(5, "bicycle", (0.4, 0.05, 0.6, 0.25), "green"))
    if 44 <= t <= 46:
        here.append(_one(6, "", (0.4, 0.75, 0.6, 0.95), "black", label="Rex"))
    elif 46 < t < 48:
        here.append(_one(6, "", (0.4, 0.75, 0.6, 0.95), None, "occluded"))
    return tuple(here)


def tell(directory, until=END, encoder=None, detector=True):
    memory = EpisodeMemory(directory, "film", "made up", encoder=encoder)
    for index in range(until):
        if 500 <= index < 550:
            continue
        picture = str(index).encode()
        memory.write(
            Moment(index, 100 * index, (120, 160), int(index >= 400), index == 400, seen_at(index), lambda p=picture: p)
        )
    if detector:
        memory.note("detector", "ran")
    memory.close()
    return directory


@pytest.fixture(scope="session")
def film(tmp_path_factory):
    """The memory of the whole film."""
    return tell(tmp_path_factory.mktemp("film"))


@pytest.fixture
def film_until(tmp_path):
    """The memory of a film that stopped before a frame."""
    return lambda until: tell(tmp_path / f"until{until}", until)
