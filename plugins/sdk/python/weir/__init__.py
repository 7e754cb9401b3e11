"""Write weir plugins in Python: one function from a message to what becomes of it.

    import weir
    from weir import Message, Output, Outputs


    @weir.operator
    class Rebates:
        def __init__(self, config: dict[str, float]) -> None:
            self.rate = config["rate"]
            if not 0 <= self.rate <= 1:
                raise weir.Reject(f"`rate` must be between 0 and 1, not {self.rate}")

        def process(self, message: Message) -> Outputs:
            order = message.json()  # not JSON: a dead letter that says why
            if order["total"] == 0:  # no `total`: a dead letter with the traceback
                return None  # dropped, on purpose
            return Output.json(order["total"] * self.rate)

`@weir.operator` takes a class like this one, which is made once on every new instance with what
stands under `config:` in the pipeline file, or a plain function of a message where there is nothing
to configure. What is returned or raised is what becomes of the message:

| returned or raised | effect |
|---|---|
| `weir.PASS` | published as it came; no bytes are moved |
| `Output.json(value)`, `Output.text(text)`, `Output(payload)` | one new message; what it does not set is taken over |
| a list of outputs, or `yield` | many messages |
| `None` | dropped, on purpose |
| `raise weir.Reject("why")` | dead letter, with the reason |
| `raise weir.Retry("why", after=0.5)` | delivered again, after half a second or with the pipeline's backoff |
| any other exception | dead letter for this message alone, with the traceback |

A plugin that counts, joins or removes duplicates keeps `weir.state`, and sets `weir.timers`. One that
aggregates windows of time is a class under `@weir.aggregator`: see `weir.Aggregator`. One that asks
servers sends requests with `weir.http`.

The same message may come more than once (see `Message.attempt`), and the instance may be replaced
between any two calls: what `self` holds is a cache, not state. Modules are imported while
`weir plugin build` runs; there is no file system later, so import at the top of the file.
"""

from . import config, http, log, metrics, state, testing, timers
from ._aggregator import Aggregator, Pane, Timing, aggregator
from ._message import Header, Message
from ._operator import operator
from ._outcome import PASS, Output, Outputs, Reject, Retry
from ._timer import Timer
from .state import State

__all__ = [
    "PASS",
    "Aggregator",
    "Header",
    "Message",
    "Output",
    "Outputs",
    "Pane",
    "Reject",
    "Retry",
    "State",
    "Timer",
    "Timing",
    "aggregator",
    "config",
    "http",
    "log",
    "metrics",
    "operator",
    "state",
    "testing",
    "timers",
]
