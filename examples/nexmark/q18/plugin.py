"""Query 18 of NEXMark: the latest bid of each bidder on each auction.

The key of the pipeline is the auction and the bidder, so each key keeps one bid. A bid that becomes the
latest is a result, which takes the place of the one before.
"""

from typing import TypedDict

import weir
from weir import Message, Outputs, State


class Latest(TypedDict):
    """What is kept of the latest bid."""

    time: int
    extra: str


LATEST = State[Latest]("latest")


@weir.operator
def latest(message: Message) -> Outputs:
    """Called for each bid. Of the same time, the bid with the lesser `extra` counts as the latest."""
    bid: Latest = {"time": message.event_time, "extra": message.json()["extra"]}
    last = LATEST.get(message)
    if last and (-last["time"], last["extra"]) <= (-bid["time"], bid["extra"]):
        return None  # an earlier bid that comes later
    LATEST.set(message, bid)
    return weir.PASS
