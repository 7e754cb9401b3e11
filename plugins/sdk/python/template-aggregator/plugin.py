"""{{name}}: computes the mean reading of a sensor per minute, and the number of readings above the limit.

`weir plugin test` runs it with input.jsonl, `weir dev` with a NATS server, and
`python3 -m unittest` runs its unit tests.
"""

from typing import TypedDict

import weir
from weir import Message, Output, Outputs, Pane, log


class Config(TypedDict):
    """The keys of `config:` in pipeline.yaml."""

    limit: float


class Reading(TypedDict):
    """The payload of an input."""

    celsius: float


class Sum(TypedDict):
    """The accumulator: the readings of a sensor in a window. The host stores it; `self` is only a cache."""

    readings: int
    celsius: float
    hot: int


@weir.aggregator
class Plugin:
    """Created once, before any message. After `weir.Reject`, the pipeline does not start."""

    def __init__(self, config: Config) -> None:
        self.limit = config["limit"]
        log.info("counts readings above %s degrees", self.limit)

    def empty(self) -> Sum:
        """The accumulator of no readings."""
        return {"readings": 0, "celsius": 0, "hot": 0}

    def add(self, sum: Sum, message: Message) -> Sum:
        """Called for each message. After an exception, it becomes a dead letter; the other messages still count."""
        reading: Reading = message.json()
        return {
            "readings": sum["readings"] + 1,
            "celsius": sum["celsius"] + reading["celsius"],
            "hot": sum["hot"] + (reading["celsius"] > self.limit),
        }

    def merge(self, left: Sum, right: Sum) -> Sum:
        """Called to merge two parts of a window. It must give the same as adding the readings of both."""
        return {
            "readings": left["readings"] + right["readings"],
            "celsius": left["celsius"] + right["celsius"],
            "hot": left["hot"] + right["hot"],
        }

    def emit(self, pane: Pane, sum: Sum) -> Outputs:
        """Called when a window ends. Its results have the key of the window, and headers that describe the window."""
        mean = sum["celsius"] / sum["readings"]
        return Output.json({"mean": mean, "readings": sum["readings"], "hot": sum["hot"]})
