"""`@weir.aggregator`, what it has marked, and what an aggregator is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from ._message import Message
from ._operator import instance
from ._outcome import Outputs

Timing = Literal["early", "on-time", "late"]
"""Whether a result of a window comes before its end, at it, or after it: as the header `Weir-Pane` has it."""


@dataclass(slots=True)
class Pane:
    """One result of a window. In a test make one with as many of the fields as it needs."""

    key: str
    """That of the messages, and "" if they have none."""
    start: int
    """Of the window, in nanoseconds since the Unix epoch. It may be before 1970."""
    end: int
    """The same; the end is not part of the window."""
    timing: Timing = "on-time"
    """Why it is emitted."""
    index: int = 0
    """How many panes of the window came before."""


_Accumulator = TypeVar("_Accumulator")


class Aggregator(Protocol[_Accumulator]):
    """What an instance of a class under `@weir.aggregator` can do. An accumulator is a value of the author's that
    JSON has a form for; it is kept as JSON, and a later version of the plugin must be able to read it.
    """

    def empty(self) -> _Accumulator:
        """The accumulator of no messages."""

    def add(self, accumulator: _Accumulator, message: Message, /) -> _Accumulator:
        """The accumulator with one more message in it. An exception makes the message a dead letter."""

    def merge(self, left: _Accumulator, right: _Accumulator, /) -> _Accumulator:
        """Two accumulators of a key as one: `left` is of the earlier part of the window."""

    def emit(self, pane: Pane, accumulator: _Accumulator, /) -> Outputs:
        """The results of a window. What an output leaves out is empty, but for the key, which is the pane's; the
        host adds headers that name the window. An exception makes a dead letter of the window.
        """


_Class = TypeVar("_Class", bound=type[Aggregator[Any]])
_marked: type[Aggregator[Any]] | None = None


def aggregator(target: _Class) -> _Class:
    """Makes a class the aggregator that this project is. Once per plugin, whose `plugin.yaml` has
    `world: aggregator`.

    It is made anew on every instance, as one under `@weir.operator`. Results must not depend on how messages were
    grouped: merging two accumulators is the same as adding the messages of both to one.
    """
    global _marked
    if _marked is not None:
        raise TypeError("`@weir.aggregator` is there twice: a plugin is one aggregator")
    _marked = target
    return target


def marked() -> type[Aggregator[Any]] | None:
    """The class under `@weir.aggregator`, if there was one yet."""
    return _marked


def configured(config: Any) -> Aggregator[Any]:
    """The aggregator, made with `config`."""
    if _marked is None:
        raise TypeError("nothing is marked with `@weir.aggregator`")
    return instance(_marked, config)
