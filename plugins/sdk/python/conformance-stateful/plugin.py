"""The plugin with state of the conformance suite, in Python: see `plugins/sdk/conformance/README.md`."""

from datetime import timedelta
from typing import TypedDict

import weir
from weir import Message, Output, Outputs, State, Timer, state, timers
from weir.state import Keyed
from weir.timers import Clock


class Note(TypedDict):
    text: str
    n: int


COUNT = State[int]("count")
NOTE = State[Note]("note")


@weir.operator
class Conformance:
    def process(self, message: Message) -> Outputs:
        case = message.token(1) or ""
        given = message.json()
        ttl_ms = given.get("ttl_ms")
        ttl = None if ttl_ms is None else milliseconds(ttl_ms)
        match case:
            case "count":
                return Output.json({"count": count(message)})
            case "counts":
                return Output.json({"counts": COUNT.get_many(given["keys"])})
            case "note":
                NOTE.set(message, given["note"], ttl=ttl)
            case "read":
                return Output.json({"note": NOTE.get(message)})
            case "forget":
                COUNT.delete(message)
                NOTE.delete(message)
            case "put":
                state.set(message, given.get("name", ""), given["text"].encode(), ttl=ttl)
            case "fill":
                state.set(message, given["name"], b"x" * given["bytes"])
            case "remove":
                state.delete(message, given["name"])
            case "scan":
                found = state.scan(
                    message,
                    given.get("prefix", ""),
                    after=given.get("after"),
                    limit=given["limit"],
                )
                return Output.json({"found": [[name, value.decode()] for name, value in found]})
            case "timer":
                if "event_time" in given:
                    timers.set(message, given["tag"], Clock.EVENT_TIME, given["event_time"])
                else:
                    timers.set_after(message, given["tag"], milliseconds(given["after_ms"]))
            case "cancel":
                timers.cancel(message, given["tag"])
            case "now":
                event = timers.now(Clock.EVENT_TIME)
                processing = timers.now(Clock.PROCESSING_TIME)
                return Output.json({"event": event, "processing": processing})
            case _:
                return end(case, message)
        return None

    def on_timer(self, timer: Timer) -> Outputs:
        if timer.tag != "count":
            return end(timer.tag, timer)
        clock = "event" if timer.clock == Clock.EVENT_TIME else "processing"
        fired = {"count": count(timer), "key": timer.key, "clock": clock, "at": timer.at}
        return Output.json(fired)


def milliseconds(number: int) -> timedelta:
    """So many, or the most that a `timedelta` holds."""
    return timedelta(milliseconds=min(number, timedelta.max // timedelta(milliseconds=1)))


def end(case: str, keyed: Keyed) -> Outputs:
    """Counts, and ends badly."""
    count(keyed)
    match case:
        case "reject":
            raise weir.Reject("told to reject")
        case "retry":
            raise weir.Retry("told to retry")
        case "raise":
            raise ValueError("told to raise")
        case _:
            raise weir.Reject(f"no such case: {case}")


def count(keyed: Keyed) -> int:
    """Adds 1."""
    value = (COUNT.get(keyed) or 0) + 1
    COUNT.set(keyed, value)
    return value
