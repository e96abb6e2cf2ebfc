"""A registry: names in order, none twice, unknown ones told with what there is."""

from __future__ import annotations

import pytest

from streamvos.errors import InputError
from streamvos.registry import Registry


@pytest.fixture
def shapes() -> Registry[type]:
    registry: Registry[type] = Registry("shape")
    for name in ("square", "circle"):
        registry.register(name)(type(name, (), {}))
    return registry


def test_what_is_registered_is_handed_out_and_stays_what_it_is(shapes: Registry[type]) -> None:
    @shapes.register("line")
    class Line:
        pass

    assert shapes.get("line") is Line
    assert shapes.names() == ("square", "circle", "line")


def test_a_name_is_registered_once(shapes: Registry[type]) -> None:
    with pytest.raises(InputError, match="shape 'circle' is registered already; choose another name"):
        shapes.register("circle")(object)
    assert shapes.get("circle") is not object


def test_an_unknown_name_lists_the_valid_ones(shapes: Registry[type]) -> None:
    with pytest.raises(InputError, match=r"unknown shape 'cirle'; did you mean 'circle'\? \(valid: circle, square\)"):
        shapes.get("cirle")
