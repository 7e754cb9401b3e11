"""{{name}}: tells when a sensor begins to read more than the limit, and when it falls silent.

`weir plugin test` runs it over input.jsonl, `weir dev` against a NATS server, and
`python3 -m unittest` needs neither.
"""

from datetime import timedelta
from typing import TypedDict

import weir
from weir import Message, Output, Outputs, State, Timer, log, timers


class Config(TypedDict):
    """What stands under `config:` in pipeline.yaml."""

    limit: float


class Reading(TypedDict):
    """What comes in."""

    celsius: float


# Whether a sensor reads more than the limit. What stands in `self` is a cache; this is stored.
IS_HOT = State[bool]("is-hot")

# How long a sensor may be silent.
SILENT = timedelta(minutes=10)


@weir.operator
class Plugin:
    """Made once, before any message. `weir.Reject` keeps the pipeline from starting."""

    def __init__(self, config: Config) -> None:
        self.limit = config["limit"]
        log.info("alerts above %s degrees", self.limit)

    def process(self, message: Message) -> Outputs:
        """Called for each message. An exception makes the message a dead letter."""
        reading: Reading = message.json()
        above_limit = reading["celsius"] - self.limit
        was_hot = IS_HOT.get(message)
        IS_HOT.set(message, above_limit > 0)
        timers.set_after(message, "silent", SILENT)  # setting it again moves it
        if was_hot or above_limit <= 0:
            return None  # dropped, on purpose
        return Output.json({"above_limit": above_limit})

    def on_timer(self, timer: Timer) -> Outputs:
        """Called for each timer that is due. What it returns has the timer's key."""
        IS_HOT.delete(timer)
        return Output.json({"silent_minutes": SILENT // timedelta(minutes=1)})
