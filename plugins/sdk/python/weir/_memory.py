"""The host's side of state, timers and requests in a test: what the process has of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._timer import Clock, Timer

_values: dict[tuple[str, str], bytes] = {}
_timers: dict[tuple[str, str], tuple[Clock, int]] = {}


def clear() -> None:
    """Forgets all state and all timers."""
    _values.clear()
    _timers.clear()


def take_timers() -> list[Timer]:
    """The timers that were set, in the order of their times. They are not set any more: hand them to
    `on_timer`.
    """
    due = [Timer(key, tag, clock, at) for (key, tag), (clock, at) in _timers.items()]
    _timers.clear()
    return sorted(due, key=lambda timer: timer.at)


_server: Callable[[Any], Any] | None = None


def serve(server: Callable[[Any], Any]) -> None:
    """All requests of `weir.http` are answered by this function from now on: it is given a `http.Request`,
    and returns a `http.Response` or raises a `http.Error`.
    """
    global _server
    _server = server


def answer(request: Any) -> Any:
    """What it answers."""
    if _server is None:
        raise RuntimeError("nothing answers requests in this test: see `weir.testing.serve`")
    return _server(request)


class State:
    """The contract's `state`."""

    def get(self, key: str, name: str, /) -> bytes | None:
        return _values.get((key, name))

    def get_many(self, names: list[tuple[str, str]], /) -> list[bytes | None]:
        return [_values.get(name) for name in names]

    def set(self, key: str, name: str, value: bytes, ttl_ms: int | None, /) -> None:
        if ttl_ms == 0:
            self.delete(key, name)
        else:
            _values[key, name] = value

    def delete(self, key: str, name: str, /) -> None:
        _values.pop((key, name), None)

    def scan(
        self, key: str, prefix: str, after: str | None, limit: int, /
    ) -> list[tuple[str, bytes]]:
        found = sorted(
            (name.encode(), name, value)
            for (of, name), value in _values.items()
            if of == key and name.startswith(prefix)
        )
        behind = [
            (name, value)
            for order, name, value in found
            if after is None or order > after.encode()
        ]
        return behind[:limit]


class Timers:
    """The contract's `timers`."""

    def now(self, clock: Clock, /) -> int:
        return 0

    def set(self, key: str, tag: str, clock: Clock, at: int, /) -> None:
        _timers[key, tag] = (clock, at)

    def cancel(self, key: str, tag: str, /) -> None:
        _timers.pop((key, tag), None)
