"""The host's side of the imports: what the contract's `log`, `metrics`, `config`, `state` and `timers`
offer, and `wasi:http`.

`componentize-py` makes the package `wit_world` while it builds. It is not there elsewhere, and in a
test a stand-in prints the log, knows no configuration and keeps state in memory.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NoReturn, Protocol

from . import _memory
from ._outcome import Reject
from ._timer import Clock

MOST = (1 << 64) - 1
"""The greatest integer of the contract."""


class Level(IntEnum):
    """How much an entry of the log matters. The values are the contract's."""

    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4


class _Log(Protocol):
    def log(self, level: Level, message: str, /) -> None: ...
    def enabled(self, level: Level, /) -> bool: ...


class _Metrics(Protocol):
    def add(self, name: str, value: int, /) -> None: ...
    def set(self, name: str, value: float, /) -> None: ...
    def observe(self, name: str, value: float, /) -> None: ...


class _Config(Protocol):
    def get(self, pointer: str, /) -> str | None: ...
    def pipeline(self) -> str: ...
    def operator(self) -> str: ...


class _State(Protocol):
    def get(self, key: str, name: str, /) -> bytes | None: ...
    def get_many(self, names: list[tuple[str, str]], /) -> list[bytes | None]: ...
    def set(self, key: str, name: str, value: bytes, ttl_ms: int | None, /) -> None: ...
    def delete(self, key: str, name: str, /) -> None: ...
    def scan(
        self, key: str, prefix: str, after: str | None, limit: int, /
    ) -> list[tuple[str, bytes]]: ...


class _Timers(Protocol):
    def now(self, clock: Clock, /) -> int: ...
    def set(self, key: str, tag: str, clock: Clock, at: int, /) -> None: ...
    def cancel(self, key: str, tag: str, /) -> None: ...


class _LogInTests:
    def log(self, level: Level, message: str, /) -> None:
        print(f"{level.name.lower()}: {message}", file=sys.stderr)

    def enabled(self, level: Level, /) -> bool:
        return True


class _MetricsInTests:
    def add(self, name: str, value: int, /) -> None:
        pass

    def set(self, name: str, value: float, /) -> None:
        pass

    def observe(self, name: str, value: float, /) -> None:
        pass


class _ConfigInTests:
    def get(self, pointer: str, /) -> str | None:
        return None

    def pipeline(self) -> str:
        return "test"

    def operator(self) -> str:
        return "test"


class _NoState:
    """In a component of a world that has none."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("a plugin with state needs `world: stateful-operator` in plugin.yaml")


def _imported(name: str, in_tests: Any) -> Any:
    try:
        return importlib.import_module(f"wit_world.imports.{name}")
    except ImportError:
        return in_tests


log: _Log = _imported("log", _LogInTests())
metrics: _Metrics = _imported("metrics", _MetricsInTests())
config: _Config = _imported("config", _ConfigInTests())
_in_tests = isinstance(config, _ConfigInTests)
state: _State = _imported("state", _memory.State() if _in_tests else _NoState())
timers: _Timers = _imported("timers", _memory.Timers() if _in_tests else _NoState())


class _NoHttp:
    """In a component that was built without it."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("a plugin that sends requests needs `http: true` in plugin.yaml")


class _Http:
    """What `weir.http` is made of in a component."""

    def __init__(self, handler: Any) -> None:
        results: Any = importlib.import_module("componentize_py_types")
        self.Ok, self.Err = results.Ok, results.Err
        self.types: Any = importlib.import_module("wit_world.imports.http_types")
        self.handle = handler.handle


def _http() -> Any:
    handler = _imported("outgoing_handler", None)
    if handler is not None:
        return _Http(handler)
    return None if _in_tests else _NoHttp()


http: Any = _http()
"""None in tests."""

answer = _memory.answer
"""What there is in place of it."""


@contextmanager
def refusals() -> Iterator[None]:
    """Makes what the host has no room for a rejection with its reason."""
    try:
        yield
    except Exception as error:
        # `Err` of `componentize_py_types`, which is not there in tests.
        if type(error).__name__ != "Err":
            raise
        raise Reject(getattr(error, "value")) from None


def printable(text: str) -> str:
    """The text with lone surrogates replaced: they are no Unicode, and nothing can cross with them."""
    return text.encode("utf-8", "replace").decode()
