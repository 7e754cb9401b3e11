"""Timers as they are set and as they come due, and what state belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Union

from ._message import Message


class Clock(IntEnum):
    """Which clock a timer follows. The values are the contract's."""

    EVENT_TIME = 0
    """The watermark: messages with earlier event times are not expected any more."""
    PROCESSING_TIME = 1
    """The clock of the job. It follows the wall clock and never steps."""


# The field order is that of the contract: the host's timers are made positionally.
@dataclass(slots=True)
class Timer:
    """One timer that is due. It is not set any more."""

    key: str
    """The key that it belongs to, and that of what `on_timer` returns."""
    tag: str
    """What it was set for."""
    clock: Clock = Clock.PROCESSING_TIME
    at: int = 0
    """When it was set to fire, in nanoseconds since the Unix epoch."""


Keyed = Union[Message, Timer, str]
"""What state and timers belong to: the message or the timer at hand, or its key."""


def key_of(keyed: Keyed) -> str:
    """The key itself."""
    if isinstance(keyed, Message):
        return keyed.key or ""
    return keyed.key if isinstance(keyed, Timer) else keyed


def ceiled(time: float | timedelta, unit: timedelta) -> int:
    """How many of `unit` cover a time in seconds or as a `timedelta`: none if it is negative."""
    time = time if isinstance(time, timedelta) else timedelta(seconds=time)
    return max(time // unit + bool(time % unit), 0)
