"""The exports of the contract, over what `@weir.operator` has marked.

Imported by nothing but the entry module that `weir plugin build` writes, and only while
`componentize-py` builds: what is set up here is in the component from its start.
"""

from __future__ import annotations

import gc
import json
import linecache
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from datetime import timedelta
from types import ModuleType
from typing import Any, TypeVar

# Made by componentize-py; see `_host`.
from componentize_py_types import Err  # type: ignore[import-not-found]
from wit_world.imports import types  # type: ignore[import-not-found]

from . import _host, log
from ._message import Header, Message
from ._operator import OnTimer, Process, configured, marked
from ._outcome import PASS, Output, Outputs, Reject, Retry
from ._timer import Clock, Timer

# The runtime looks up the classes of what comes in after this module is imported. With our own in
# their place a message arrives as what the operator is given, and nothing is made twice.
types.Message = Message
types.Header = Header
try:
    from wit_world.exports import timer_handler  # type: ignore[import-not-found]
    from wit_world.imports import timers
except ImportError:
    pass  # A plugin without state.
else:
    timers.Clock = Clock
    timer_handler.Timer = Timer

_DROP = types.Outcome_Emit([])
_PASS = types.Outcome_Emit([PASS])

_process: Process
_on_timer: OnTimer
_root = ""


class Configurable:
    """`configurable`: the runtime makes one while it builds, and calls it in every instance."""

    def configure(self, config: str) -> None:
        """Makes the operator. Raises `Err` with the reason if it refuses."""
        global _process, _on_timer
        try:
            value = json.loads(config)
            _process, _on_timer = configured({} if value is None else value)
        except Reject as error:
            raise Err(_host.printable(error.reason)) from None
        except Exception as error:
            reason, *frames = _described(error)
            print("\n".join(frames), file=sys.stderr)
            raise Err(reason) from None


class Handler:
    """`handler`: the batch loop."""

    def process(self, batch: list[Message]) -> list[Any]:
        """One outcome per message, in order."""
        return [_outcome(_process, message) for message in batch]


class TimerHandler:
    """`timer-handler`: the loop over the timers that are due."""

    def on_timer(self, batch: list[Timer]) -> list[Any]:
        """One outcome per timer, in order."""
        return [_outcome(_on_timer, timer) for timer in batch]


_Input = TypeVar("_Input", Message, Timer)


def _outcome(call: Callable[[_Input], Outputs], given: _Input) -> Any:
    try:
        result = call(given)
        if result is None:
            return _DROP
        if result is PASS:
            return _PASS
        if isinstance(result, Output):
            return types.Outcome_Emit([_checked(result)])
        if isinstance(result, Iterable) and not isinstance(result, (str, bytes)):
            return types.Outcome_Emit([_checked(output) for output in result])
        raise TypeError(f"an operator returns outputs, not {_named(result)}")
    except Reject as error:
        return types.Outcome_Reject(_host.printable(error.reason))
    except Retry as error:
        reason = _host.printable(error.reason)
        return types.Outcome_Retry(types.Retry(_milliseconds(error.after), reason))
    except MemoryError:
        # Not this message's fault alone: the instance is full. It traps, and the host tries the
        # message again in a fresh one.
        raise
    except BaseException as error:
        return types.Outcome_Reject("\n".join(_described(error)))


def _checked(output: Output) -> Output:
    """The output as the runtime takes it. It aborts on what is not of the contract's types."""
    if output.__class__ is not Output:
        raise TypeError(f"an operator returns outputs, not {_named(output)}")
    payload, headers = output.payload, output.headers
    if payload is not None and not isinstance(payload, bytes):
        if not isinstance(payload, (bytearray, memoryview)):
            raise TypeError(f"a payload is bytes, not {_named(payload)}")
        payload = bytes(payload)
    for text in (output.subject, output.key):
        if text is not None:
            _check_text(text)
    if headers is None and payload is output.payload:
        return output
    lines = None if headers is None else [Header(*header) for header in headers]
    for line in lines or ():
        _check_text(line.name)
        _check_text(line.value)
    return Output(payload, output.subject, lines, output.key)


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"a subject, a key and a header are str, not {_named(text)}")
    text.encode()


def _named(value: object) -> str:
    return type(value).__name__


def _milliseconds(after: timedelta | None) -> int | None:
    if after is None:
        return None
    return min(max(-(-after // timedelta(milliseconds=1)), 0), _host.MOST)


def _described(error: BaseException) -> list[str]:
    """The exception in lines: what it is, then where it came from."""
    own = error.__traceback__ and error.__traceback__.tb_next
    what = "".join(traceback.format_exception_only(type(error), error)).strip()
    where = "".join(traceback.format_exception(type(error), error, own)).strip()
    where = where.removesuffix(what).strip().replace(f'File "{_root}/', 'File "')
    lines = f"{what}\n{where}".splitlines() if own or error.__context__ else what.splitlines()
    return [_host.printable(line) for line in lines]


def start(plugin: ModuleType) -> None:
    """Called by the entry module, at build time, once the plugin is imported."""
    global _root
    if marked() is None:
        raise TypeError(f"nothing in `{plugin.__name__}` is marked with `@weir.operator`")
    _root = os.path.dirname(plugin.__file__ or "")
    logging.basicConfig(handlers=[log.LoggingHandler()], level=logging.NOTSET, format="%(message)s")
    _keep_source_lines()
    # What is there now lives as long as the instance: the collector need not look at it again.
    gc.collect()
    gc.freeze()


def _keep_source_lines() -> None:
    """Tracebacks show lines of source, and there is no file system at run time to read them from."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and os.path.dirname(path).startswith(_root):
            lines = linecache.getlines(path)
            # Without a time of modification nobody looks whether the file has changed.
            linecache.cache[path] = (sum(map(len, lines)), None, lines, path)
