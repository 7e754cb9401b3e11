"""{{name}}: reports when a sensor begins to read more than the limit, and when it falls silent.

`weir plugin test` runs it with input.jsonl, `weir dev` with a NATS server, and
`python3 -m unittest` runs its unit tests.
"""

from datetime import timedelta
from typing import TypedDict

import weir
from weir import Message, Output, Outputs, State, Timer, log, timers


class Config(TypedDict):
    """The keys of `config:` in pipeline.yaml."""

    limit: float


class Reading(TypedDict):
    """The payload of an input."""

    celsius: float


# Whether a sensor reads more than the limit. The host stores this; `self` is only a cache.
IS_HOT = State[bool]("is-hot")

# How long a sensor may be silent.
SILENT = timedelta(minutes=10)


@weir.operator
class Plugin:
    """Created once, before any message. After `weir.Reject`, the pipeline does not start."""

    def __init__(self, config: Config) -> None:
        self.limit = config["limit"]
        log.info("alerts above %s degrees", self.limit)

    def process(self, message: Message) -> Outputs:
        """Called for each message. After an exception, the message becomes a dead letter."""
        reading: Reading = message.json()
        above_limit = reading["celsius"] - self.limit
        was_hot = IS_HOT.get(message)
        IS_HOT.set(message, above_limit > 0)
        timers.set_after(message, "silent", SILENT)  # setting it again moves it
        if was_hot or above_limit <= 0:
            return None  # dropped, on purpose
        return Output.json({"above_limit": above_limit})

    def on_timer(self, timer: Timer) -> Outputs:
        """Called for each timer that is due. Its results have the timer's key."""
        IS_HOT.delete(timer)
        return Output.json({"silent_minutes": SILENT // timedelta(minutes=1)})
