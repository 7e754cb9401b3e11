"""Calls that the host makes later: of `on_timer`, exactly once for each timer.

    from weir import timers

    timers.set_after(message, "forget", timedelta(hours=1))

A timer is known by its key and tag; setting it again moves it. Its key is that of the message or the
timer at hand, as for `weir.state`, and it is not called if the values of the key are gone when it is
due.

In a test timers are kept in memory, and the clocks stand at 0: see `weir.testing`.
"""

from __future__ import annotations

from datetime import timedelta

from . import _host
from ._timer import Clock, Keyed, Timer, ceiled, key_of

__all__ = ["Clock", "Timer", "cancel", "now", "set", "set_after"]


def now(clock: Clock) -> int:
    """The time of a clock, in nanoseconds since the Unix epoch. The watermark is 0 until there is one."""
    return _host.timers.now(clock)


def set(keyed: Keyed, tag: str, clock: Clock, at: int) -> None:
    """Fires once a clock has reached `at`, in nanoseconds since the Unix epoch.

    Raises `Reject` if the state of the partition has no room for it.
    """
    with _host.refusals():
        _host.timers.set(key_of(keyed), tag, clock, min(max(at, 0), _host.MOST))


def set_after(keyed: Keyed, tag: str, delay: float | timedelta) -> None:
    """Fires after this long, in seconds or as a `timedelta`, by the clock of the job.

    Raises `Reject` as `set` does.
    """
    nanoseconds = 1000 * ceiled(delay, timedelta(microseconds=1))
    set(keyed, tag, Clock.PROCESSING_TIME, now(Clock.PROCESSING_TIME) + nanoseconds)


def cancel(keyed: Keyed, tag: str) -> None:
    """Cancels a timer, if it is set."""
    _host.timers.cancel(key_of(keyed), tag)
