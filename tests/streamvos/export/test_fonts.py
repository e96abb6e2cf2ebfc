"""Names in scripts that the overlay's own font lacks."""

import numpy as np
import pytest

from streamvos.export import draw, fonts
from streamvos.masks import encode, label_map, tight_box
from streamvos.records import ObjectMasks, StepResult

SIZE = (60, 90)


@pytest.fixture
def bare_system(monkeypatch):
    """A system without fonts of its own."""
    monkeypatch.setattr(fonts, "_system_fonts", lambda: ())
    fonts._path_for.cache_clear()
    yield
    fonts._path_for.cache_clear()


def labels_drawn(name, monkeypatch) -> set[str]:
    drawn = set()
    real = draw._text_alpha
    monkeypatch.setattr(draw, "_text_alpha", lambda text, px: drawn.add(text) or real(text, px))
    mask = np.zeros(SIZE, bool)
    mask[20:40, 20:60] = True
    ids, box, score = np.array([1], np.int64), tight_box(mask)[None], np.ones(1, np.float32)
    masks = ObjectMasks(SIZE, ids, (encode(mask),), box, score, ("tracked",), (name,))
    result = StepResult("s", 0, 0.0, SIZE, masks=masks)
    draw.draw_result(np.zeros((*SIZE, 3), np.uint8), result, label_map(masks))
    return {text for text in drawn if text.startswith("#1")}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("日本", "object"),
        ("서울", "object"),
        ("🐶", "object"),
        ("\ue000", "object"),
        ("café Ω", "café Ω"),
        ("kid's $5 bike", "kid's $5 bike"),
        ("two\nlines\x1b[31m", "two lines [31m"),
        ("❤\ufe0f", "❤"),
    ],
)
def test_a_name_is_drawn_or_called_object(bare_system, monkeypatch, name, shown):
    shown = {f"#1 {shown} · tracked 1.00"} if name != "\ue000" else {"#1 · tracked 1.00"}  # nothing of it can be drawn
    assert labels_drawn(name, monkeypatch) == shown


def test_another_font_of_the_system_is_taken(monkeypatch):
    monkeypatch.setattr(
        fonts, "_codes", lambda path: frozenset(range(128)) | ({0x65E5} if "many" in path.name else set())
    )
    monkeypatch.setattr(fonts, "_system_fonts", lambda: tuple(map(fonts.Path, ("few.ttf", "many.ttf"))))
    fonts._path_for.cache_clear()
    assert fonts._path_for(frozenset("日 1")) == fonts.Path("many.ttf")
    assert fonts._path_for(frozenset("dog")) == fonts._OWN and fonts._path_for(frozenset("本")) is None
    fonts._path_for.cache_clear()


def test_fonts_that_cannot_be_read_have_no_letters(tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert fonts._codes(tmp_path / "broken.ttf") == frozenset()
