"""{{name}}: tells when a sensor reads more than the limit.

`weir plugin test` runs it over input.jsonl, `weir dev` against a NATS server, and
`python3 -m unittest` needs neither.
"""

from typing import TypedDict

import weir
from weir import Message, Output, Outputs, log


class Config(TypedDict):
    """What stands under `config:` in pipeline.yaml."""

    limit: float


class Reading(TypedDict):
    """What comes in."""

    sensor: str
    celsius: float


@weir.operator
class Plugin:
    """Made once, before any message. `weir.Reject` keeps the pipeline from starting."""

    def __init__(self, config: Config) -> None:
        self.limit = config["limit"]
        if self.limit < -273.15:
            raise weir.Reject(f"`limit` is {self.limit}, which is below absolute zero")
        log.info("alerts above %s degrees", self.limit)

    def process(self, message: Message) -> Outputs:
        """Called for each message. An exception makes the message a dead letter."""
        reading: Reading = message.json()
        above_limit = reading["celsius"] - self.limit
        if above_limit <= 0:
            return None  # dropped, on purpose
        return Output.json({"sensor": reading["sensor"], "above_limit": above_limit})
