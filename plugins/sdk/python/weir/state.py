"""Values that an operator keeps for the keys of messages.

    from weir import State

    COUNT = State[int]("count")

    def process(message):
        count = COUNT.get(message) or 0
        COUNT.set(message, count + 1)

They are there in `process` and `on_timer` of a plugin whose `plugin.yaml` says
`world: stateful-operator`, and nowhere else: a call from `__init__` ends the instance. A value belongs
to a key and has a name below it. The key is that of the message or the timer at hand; one of another
partition ends the call, and its message becomes a dead letter.

What is written is stored together with the results of the batch, and undone for a message that is
rejected, retried or makes the instance end.

In a test values are kept in memory and do not expire: see `weir.testing`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Generic, TypeVar, cast

from . import _host
from ._outcome import ENCODER, Reject
from ._timer import Keyed, ceiled, key_of

__all__ = ["Keyed", "State", "delete", "get", "get_many", "scan", "set"]

_Value = TypeVar("_Value")


class State(Generic[_Value]):
    """A value for each key, kept as JSON. Make it a constant of the plugin, with a name that no other
    value of the plugin has: `TOTAL = State[float]("total")`. It is not checked to be of that type.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, keyed: Keyed) -> _Value | None:
        """The value, or `None`. Raises `Reject` if what is kept is no JSON."""
        return self._read(get(keyed, self.name))

    def get_many(self, keyed: Iterable[Keyed]) -> list[_Value | None]:
        """The values of several keys, in their order: one call of the host for all of them."""
        return [self._read(value) for value in get_many((key, self.name) for key in keyed)]

    def set(
        self, keyed: Keyed, value: _Value, *, ttl: float | timedelta | None = None
    ) -> None:
        """Sets the value. With `ttl`, in seconds or as a `timedelta`, it is gone after that long;
        setting it again begins anew, and zero deletes it.

        Raises `Reject` if the state of the partition has no room for it.
        """
        set(keyed, self.name, ENCODER.encode(value).encode(), ttl=ttl)

    def delete(self, keyed: Keyed) -> None:
        """Deletes the value, if there is one."""
        delete(keyed, self.name)

    def _read(self, value: bytes | None) -> _Value | None:
        try:
            return None if value is None else cast(_Value, json.loads(value))
        except ValueError as error:
            why = f"cannot read the state `{self.name}` as JSON: {error}"
            raise Reject(why) from None


def get(keyed: Keyed, name: str) -> bytes | None:
    """The bytes under a key and a name, or `None`."""
    return _host.state.get(key_of(keyed), name)


def get_many(names: Iterable[tuple[Keyed, str]]) -> list[bytes | None]:
    """The bytes under several keys and names, in their order."""
    return _host.state.get_many([(key_of(keyed), name) for keyed, name in names])


def set(
    keyed: Keyed, name: str, value: bytes, *, ttl: float | timedelta | None = None
) -> None:
    """Sets the bytes under a key and a name, for as long as `ttl` if it is given.

    Raises `Reject` if the state of the partition has no room for it.
    """
    # Rounded up: zero would delete.
    ttl_ms = None if ttl is None else min(ceiled(ttl, timedelta(milliseconds=1)), _host.MOST)
    with _host.refusals():
        _host.state.set(key_of(keyed), name, bytes(value), ttl_ms)


def delete(keyed: Keyed, name: str) -> None:
    """Deletes what is under a key and a name, if anything."""
    _host.state.delete(key_of(keyed), name)


def scan(
    keyed: Keyed, prefix: str = "", *, after: str | None = None, limit: int = 1000
) -> list[tuple[str, bytes]]:
    """Up to `limit` names of a key that begin with `prefix`, with their bytes, in the order of the
    names; those behind `after` where it is given. Fewer may come where they are large: there are no
    more only when none comes.
    """
    limit = min(max(limit, 0), (1 << 32) - 1)
    return _host.state.scan(key_of(keyed), prefix, after, limit)
