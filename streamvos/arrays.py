"""Arrays that a user gives, brought to the form that the records carry, where nothing of their meaning is lost."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamvos.errors import InputError


def as_array(name: str, value: Any, shape: tuple[int | None, ...], dtype: Any) -> np.ndarray:
    """`value` as an array of exactly this shape and type.

    Args:
        name: of the field, for messages.
        value: an array, or nested lists. Numbers become other numbers where that changes none: whole floats become
            integers, 0 and 1 (or 0 and 255) become booleans, and any number a float (float64 is rounded to float32,
            by less than a thousandth of a pixel). Floats never become bytes of a picture: their range is unknown.
        shape: wanted lengths, None where any will do.
        dtype: wanted type.

    Raises:
        InputError: another shape, or numbers that would not be the same.
    """
    wanted = np.dtype(dtype)
    if isinstance(value, np.ndarray) and value.dtype == wanted:
        array = value
    else:
        try:
            array = np.asarray(value)
        except (ValueError, TypeError):
            raise InputError(f"{name}: expected {_form(shape, wanted)}, got rows of different lengths") from None
        if array.size == 0 and 0 in shape:  # an empty list says nothing of its columns
            array = array.reshape([0 if side is None else side for side in shape])
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    converted = _convert(array, wanted) if fits else None
    if converted is None:
        why = _why(array, wanted) if fits else ""
        raise InputError(f"{name}: expected {_form(shape, wanted)}, got {array.shape} {array.dtype}{why}")
    return converted


def set_array(record: Any, name: str, shape: tuple[int | None, ...], dtype: Any) -> None:
    """Bring a field of a frozen record to its form; raises as `as_array`."""
    array = as_array(f"{type(record).__name__}.{name}", getattr(record, name), shape, dtype)
    object.__setattr__(record, name, array)


def set_tuples(record: Any, *names: str) -> None:
    """Make fields of a frozen record tuples."""
    for name in names:
        object.__setattr__(record, name, tuple(getattr(record, name)))


def _form(shape: tuple[int | None, ...], dtype: np.dtype) -> str:
    sides = ", ".join("*" if side is None else str(side) for side in shape)
    return f"({sides}) {dtype}"


def _convert(array: np.ndarray, wanted: np.dtype) -> np.ndarray | None:
    """The array as another type; None where it would not say the same."""
    if array.dtype == wanted:
        return array
    if not array.size:
        return array.astype(wanted)
    if array.dtype.kind not in "biuf":
        return None
    if wanted.kind == "f":
        too_large = np.isfinite(array) & (np.abs(array) > np.finfo(wanted).max)
        return None if array.dtype.kind == "b" or too_large.any() else array.astype(wanted)
    if wanted.kind == "b":
        values = np.unique(array)
        is_mask = np.isin(values, (0, 1)).all() or np.isin(values, (0, 255)).all()
        return array != 0 if is_mask else None
    if array.dtype.kind == "b" or (wanted == np.uint8 and array.dtype.kind == "f"):
        return None
    limits = np.iinfo(wanted)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.floor(array)).all()):
        return None
    if array.min() < limits.min or array.max() > limits.max:
        return None
    return array.astype(wanted)


def _why(array: np.ndarray, wanted: np.dtype) -> str:
    """What to do about a type that cannot be taken."""
    if wanted == np.uint8 and array.dtype.kind == "f":
        return "; give 0 to 255 as uint8: (255 * image).round().astype('uint8') where it goes from 0 to 1"
    if wanted == np.bool_:
        return "; give True (or 1) on the object and False (or 0) off it"
    return ""
