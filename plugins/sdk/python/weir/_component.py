"""The exports of the contract, over what `@weir.operator` or `@weir.aggregator` has marked.

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
from componentize_py_types import Err, Ok  # type: ignore[import-not-found]
from wit_world.imports import types  # type: ignore[import-not-found]

from . import _aggregator, _host, _operator, log
from ._aggregator import Aggregator, Pane, Timing
from ._message import Header, Message
from ._operator import OnTimer, Process
from ._outcome import ENCODER, PASS, Output, Outputs, Reject, Retry
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
try:
    import wit_world.exports.aggregation  # type: ignore[import-not-found]  # noqa: F401
except ImportError:
    _AGGREGATES = False
else:
    _AGGREGATES = True

_TIMINGS: tuple[Timing, ...] = ("early", "on-time", "late")
_DROP = types.Outcome_Emit([])
_PASS = types.Outcome_Emit([PASS])

_process: Process
_on_timer: OnTimer
_aggregates: Aggregator[Any]
_root = ""


class Configurable:
    """`configurable`: the runtime makes one while it builds, and calls it in every instance."""

    def configure(self, config: str) -> None:
        """Makes the operator or the aggregator. Raises `Err` with the reason if it refuses."""
        global _process, _on_timer, _aggregates
        try:
            value = json.loads(config)
            value = {} if value is None else value
            if _AGGREGATES:
                _aggregates = _aggregator.configured(value)
            else:
                _process, _on_timer = _operator.configured(value)
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


class Aggregation:
    """`aggregation`: the loops over what is added, merged and emitted."""

    def add(self, additions: list[Any]) -> list[Any]:
        """One new accumulator, or reason, per addition, in order."""
        return [_answer(_added, one) for one in additions]

    def merge(self, pairs: list[Any]) -> list[Any]:
        """One accumulator, or reason, per pair, in order."""
        return [_answer(_merged, pair) for pair in pairs]

    def emit(self, panes: list[Any]) -> list[Any]:
        """The outputs of each pane, or the reason, in order."""
        return [_answer(_emitted, pane) for pane in panes]


def _added(addition: Any) -> bytes:
    accumulator = _read(addition.accumulator)
    for message in addition.messages:
        accumulator = _aggregates.add(accumulator, message)
    return _written(accumulator, "add")


def _merged(pair: Any) -> bytes:
    return _written(_aggregates.merge(_read(pair.left), _read(pair.right)), "merge")


def _emitted(raw: Any) -> list[Output]:
    window = raw.window
    timing = _TIMINGS[int(raw.timing.value)]
    pane = Pane(raw.key, window.start, window.end, timing, raw.index)
    return _outputs(_aggregates.emit(pane, _read(raw.accumulator)))


def _read(accumulator: bytes) -> Any:
    """Of no message yet, it is empty."""
    if not accumulator:
        return _aggregates.empty()
    try:
        return json.loads(accumulator)
    except ValueError as error:
        raise Reject(f"cannot read the accumulator as JSON: {error}") from None


def _written(accumulator: Any, made_by: str) -> bytes:
    if accumulator is None:
        raise TypeError(f"`{made_by}` returns the new accumulator, not None")
    return ENCODER.encode(accumulator).encode()


def _answer(call: Callable[[Any], object], given: Any) -> Any:
    """What the call returns, or why it does not. There is no retry here."""
    try:
        return Ok(call(given))
    except (Reject, Retry) as error:
        return Err(_host.printable(error.reason))
    except MemoryError:
        raise  # See `_outcome`.
    except BaseException as error:
        return Err("\n".join(_described(error)))


_Input = TypeVar("_Input", Message, Timer)


def _outcome(call: Callable[[_Input], Outputs], given: _Input) -> Any:
    try:
        result = call(given)
        if result is None:
            return _DROP
        if result is PASS:
            return _PASS
        return types.Outcome_Emit(_outputs(result))
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


def _outputs(result: Outputs) -> list[Output]:
    if result is None:
        return []
    if isinstance(result, Output):
        return [_checked(result)]
    if isinstance(result, Iterable) and not isinstance(result, (str, bytes)):
        return [_checked(output) for output in result]
    raise TypeError(f"a plugin returns outputs, not {_named(result)}")


def _checked(output: Output) -> Output:
    """The output as the runtime takes it. It aborts on what is not of the contract's types."""
    if output.__class__ is not Output:
        raise TypeError(f"a plugin returns outputs, not {_named(output)}")
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
    """The exception in lines: what it is, then where it came from, without the calls in this file."""
    own = error.__traceback__
    while own and own.tb_frame.f_code.co_filename == __file__:
        own = own.tb_next
    what = "".join(traceback.format_exception_only(type(error), error)).strip()
    where = "".join(traceback.format_exception(type(error), error, own)).strip()
    where = where.removesuffix(what).strip().replace(f'File "{_root}/', 'File "')
    lines = f"{what}\n{where}".splitlines() if own or error.__context__ else what.splitlines()
    return [_host.printable(line) for line in lines]


def start(plugin: ModuleType) -> None:
    """Called by the entry module, at build time, once the plugin is imported."""
    global _root
    wanted, other = ("aggregator", "operator") if _AGGREGATES else ("operator", "aggregator")
    if (_aggregator if _AGGREGATES else _operator).marked() is None:
        raise TypeError(
            f"nothing in `{plugin.__name__}` is marked with `@weir.{wanted}`; "
            f"one with `@weir.{other}` needs another `world:` in plugin.yaml"
        )
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
