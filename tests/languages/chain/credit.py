"""Fourth in the chain: only the customer's posting of each pair goes on."""

import weir
from weir import Message, Output, Outputs


@weir.operator
def process(message: Message) -> Outputs:
    posting = message.json()
    if posting["account"] != posting["user"]:
        return None
    return Output.json(posting)
