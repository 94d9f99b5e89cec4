"""Sequences whose elements are made only when they are read, so that a million texts need little memory."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

Element = TypeVar("Element")


class Lazy(Sequence[Element]):
    """A sequence of `length` elements; `make(at)` gives the one at a place, anew each time."""

    def __init__(self, length: int, make: Callable[[int], Element]):
        self._length, self._make = length, make

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> Element: ...
    @overload
    def __getitem__(self, at: slice) -> list[Element]: ...
    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self._make(place) for place in range(*at.indices(self._length))]
        if not -self._length <= at < self._length:
            raise IndexError(f"There is no element {at} of {self._length}.")
        return self._make(at % self._length)
