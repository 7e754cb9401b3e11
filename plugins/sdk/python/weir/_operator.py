"""`@weir.operator`, and what it has marked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast, overload

from ._message import Message
from ._outcome import Outputs
from ._timer import Timer

Process = Callable[[Message], Outputs]
OnTimer = Callable[[Timer], Outputs]


class Operator(Protocol):
    """What an instance of a class under `@weir.operator` can do. One that sets timers has a method
    `on_timer` besides, which is called with each `Timer` that is due.
    """

    def process(self, message: Message, /) -> Outputs:
        """Called for each message."""


_Class = TypeVar("_Class", bound=type[Operator])
_Function = TypeVar("_Function", bound=Process)
_Instance = TypeVar("_Instance")
_marked: type[Operator] | Process | None = None


@overload
def operator(target: _Class) -> _Class: ...
@overload
def operator(target: _Function) -> _Function: ...
def operator(target: Any) -> Any:
    """Makes a class or a function the plugin that this project is. Once per plugin.

    A class is made anew on every instance, with what stands under `config:` in the pipeline file
    (`{}` where there is nothing), and its `process` is called for each message. The decorator
    changes nothing, so a test makes and calls it like any other class or function.
    """
    global _marked
    if _marked is not None:
        raise TypeError("`@weir.operator` is there twice: a plugin is one operator")
    _marked = target
    return target


def marked() -> type[Operator] | Process | None:
    """The class or function under `@weir.operator`, if there was one yet."""
    return _marked


def configured(config: Any) -> tuple[Process, OnTimer]:
    """The operator, made with `config`, as a function of a message and one of a timer."""
    if _marked is None:
        raise TypeError("nothing is marked with `@weir.operator`")
    if not isinstance(_marked, type):
        return _marked, _nothing
    made: Operator = instance(_marked, config)
    return made.process, getattr(made, "on_timer", _nothing)


def instance(marked: type[_Instance], config: Any) -> _Instance:
    """An instance of a class, made with `config` if it takes one."""
    make = cast(Callable[..., _Instance], marked)
    takes_config = getattr(marked, "__init__") is not object.__init__
    return make(config) if takes_config else make()


def _nothing(_: Timer) -> Outputs:
    return None
