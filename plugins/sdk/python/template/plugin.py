"""{{name}}: reports when a sensor reads more than the limit.

`weir plugin test` runs it with input.jsonl, `weir dev` with a NATS server, and
`python3 -m unittest` runs its unit tests.
"""

from typing import TypedDict

import weir
from weir import Message, Output, Outputs, log


class Config(TypedDict):
    """The keys of `config:` in pipeline.yaml."""

    limit: float


class Reading(TypedDict):
    """The payload of an input."""

    sensor: str
    celsius: float


@weir.operator
class Plugin:
    """Created once, before any message. After `weir.Reject`, the pipeline does not start."""

    def __init__(self, config: Config) -> None:
        self.limit = config["limit"]
        if self.limit < -273.15:
            raise weir.Reject(f"`limit` is {self.limit}, which is below absolute zero")
        log.info("alerts above %s degrees", self.limit)

    def process(self, message: Message) -> Outputs:
        """Called for each message. After an exception, the message becomes a dead letter."""
        reading: Reading = message.json()
        above_limit = reading["celsius"] - self.limit
        if above_limit <= 0:
            return None  # dropped, on purpose
        return Output.json({"sensor": reading["sensor"], "above_limit": above_limit})
