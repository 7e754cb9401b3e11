"""The host's side of the imports: what the contract's `log`, `metrics` and `config` offer.

`componentize-py` makes the package `wit_world` while it builds. It is not there elsewhere, and in a
test a stand-in prints the log and knows no configuration.
"""

from __future__ import annotations

import importlib
import sys
from enum import IntEnum
from typing import Any, Protocol


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


def _imported(name: str, in_tests: Any) -> Any:
    try:
        return importlib.import_module(f"wit_world.imports.{name}")
    except ImportError:
        return in_tests


log: _Log = _imported("log", _LogInTests())
metrics: _Metrics = _imported("metrics", _MetricsInTests())
config: _Config = _imported("config", _ConfigInTests())


def printable(text: str) -> str:
    """The text with lone surrogates replaced: they are no Unicode, and nothing can cross with them."""
    return text.encode("utf-8", "replace").decode()
