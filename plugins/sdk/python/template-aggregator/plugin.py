"""{{name}}: the mean of what a sensor reads in a minute, and how often that was more than the limit.

`weir plugin test` runs it over input.jsonl, `weir dev` against a NATS server, and
`python3 -m unittest` needs neither.
"""

from typing import TypedDict

import weir
from weir import Message, Output, Outputs, Pane, log


class Config(TypedDict):
    """What stands under `config:` in pipeline.yaml."""

    limit: float


class Reading(TypedDict):
    """What comes in."""

    celsius: float


class Sum(TypedDict):
    """What is kept of the readings of a sensor in a window. What stands in `self` is a cache; this is stored."""

    readings: int
    celsius: float
    hot: int


@weir.aggregator
class Plugin:
    """Made once, before any message. `weir.Reject` keeps the pipeline from starting."""

    def __init__(self, config: Config) -> None:
        self.limit = config["limit"]
        log.info("counts readings above %s degrees", self.limit)

    def empty(self) -> Sum:
        """What is kept of no readings."""
        return {"readings": 0, "celsius": 0, "hot": 0}

    def add(self, sum: Sum, message: Message) -> Sum:
        """Called for each message. An exception makes it a dead letter; the others count."""
        reading: Reading = message.json()
        return {
            "readings": sum["readings"] + 1,
            "celsius": sum["celsius"] + reading["celsius"],
            "hot": sum["hot"] + (reading["celsius"] > self.limit),
        }

    def merge(self, left: Sum, right: Sum) -> Sum:
        """Called where two parts of a window come together. The same as adding the readings of both."""
        return {
            "readings": left["readings"] + right["readings"],
            "celsius": left["celsius"] + right["celsius"],
            "hot": left["hot"] + right["hot"],
        }

    def emit(self, pane: Pane, sum: Sum) -> Outputs:
        """Called when a window ends. What it returns has the key of the window, and headers that name it."""
        mean = sum["celsius"] / sum["readings"]
        return Output.json({"mean": mean, "readings": sum["readings"], "hot": sum["hot"]})
