"""The aggregator of the conformance suite, in Python: see `plugins/sdk/conformance/README.md`."""

from typing import Any, TypedDict

import weir
from weir import Message, Output, Outputs, Pane


class Got(TypedDict):
    count: int
    sum: int
    first: int | None
    words: list[str]


@weir.aggregator
class Conformance:
    def __init__(self, config: dict[str, Any]) -> None:
        if "refuse" in config:
            raise weir.Reject(config["refuse"])
        self.answer = config.get("answer")

    def empty(self) -> Got:
        return {"count": 0, "sum": 0, "first": None, "words": []}

    def add(self, got: Got, message: Message) -> Got:
        given = message.json()
        match message.token(1):
            case "add":
                pass
            case "reject":
                raise weir.Reject("told to reject")
            case "retry":
                raise weir.Retry("told to retry")
            case "raise":
                raise ValueError("told to raise")
            case other:
                raise weir.Reject(f"no such case: {other}")
        got["count"] += 1
        got["sum"] += given["n"]
        got["first"] = least(got["first"], message.event_time)
        if "word" in given:
            got["words"].append(given["word"])
        return got

    def merge(self, left: Got, right: Got) -> Got:
        if "clash" in left["words"] and "clash" in right["words"]:
            raise weir.Reject("told to clash")
        return {
            "count": left["count"] + right["count"],
            "sum": left["sum"] + right["sum"],
            "first": least(left["first"], right["first"]),
            "words": left["words"] + right["words"],
        }

    def emit(self, pane: Pane, got: Got) -> Outputs:
        if "reject" in got["words"]:
            raise weir.Reject("told to reject a window")
        if "raise" in got["words"]:
            raise ValueError("told to raise a window")
        if "none" in got["words"]:
            return None
        if "many" in got["words"]:
            return [Output.json({"index": index}) for index in range(2)]
        if "set" in got["words"]:
            headers = [("Own", "header")]
            return Output.text("set", subject="elsewhere", key="other", headers=headers)
        window = {"key": pane.key, "start": pane.start, "end": pane.end}
        said = {"timing": pane.timing, "index": pane.index, "answer": self.answer}
        return Output.json({**window, **said, **got})


def least(*times: int | None) -> int | None:
    return min((time for time in times if time is not None), default=None)
