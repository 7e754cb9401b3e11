"""The plugin of the conformance suite, in Python: see `plugins/sdk/conformance/README.md`."""

from collections.abc import Iterator
from typing import Any

import weir
from weir import Message, Output, Outputs, config, http, log, metrics


@weir.operator
class Conformance:
    def __init__(self, configuration: Any) -> None:
        given = configuration if isinstance(configuration, dict) else {}
        if isinstance(given.get("refuse"), str):
            raise weir.Reject(given["refuse"])
        self.answer = given.get("answer")
        self.count = 0

    def process(self, message: Message) -> Outputs:
        case = message.token(1) or ""
        match case:
            case "pass":
                return weir.PASS
            case "drop":
                return None
            case "echo":
                return Output(message.payload)
            case "describe":
                return describe(message)
            case "set":
                return set_fields(message)
            case "many":
                return many(message.json()["count"])
            case "increment":
                return Output.json({"n": message.json()["n"] + 1})
            case "shout":
                return Output.text(f"{message.text()}!")
            case "retry":
                retry = message.json()
                after_ms = retry.get("after_ms")
                after = None if after_ms is None else after_ms / 1000
                raise weir.Retry(retry["reason"], after)
            case "reject":
                raise weir.Reject(message.text())
            case "raise":
                raise ValueError(message.text())
            case "count":
                self.count += 1
                return Output.json({"count": self.count})
            case "config":
                return Output.json(
                    {
                        "pipeline": config.pipeline(),
                        "operator": config.operator(),
                        "answer": config.get("/answer"),
                        "configured": self.answer,
                    }
                )
            case "log":
                for write in (log.trace, log.debug, log.info, log.warn, log.error):
                    write(message.text())
                return None
            case "metrics":
                metrics.add("conform_added", 3)
                metrics.set("conform_set", 2.5)
                metrics.observe("conform_observed", 0.5)
                return None
            case "http":
                return send(message)
            case _:
                raise weir.Reject(f"no such case: {case}")


def describe(message: Message) -> Output:
    return Output.json(
        {
            "subject": message.subject,
            "length": len(message.payload),
            "headers": message.headers,
            "key": message.key,
            "event_time": message.event_time,
            "sequence": message.sequence,
            "attempt": message.attempt,
        }
    )


def set_fields(message: Message) -> Output:
    fields = message.json()
    text = fields.get("text")
    headers = fields.get("headers")
    return Output(
        payload=None if text is None else text.encode(),
        subject=fields.get("subject"),
        headers=None if headers is None else [(name, value) for name, value in headers],
        key=fields.get("key"),
    )


def many(count: int) -> Iterator[Output]:
    for index in range(count):
        yield Output.json({"index": index})


def send(message: Message) -> Output:
    wanted = message.json()
    after = wanted.get("timeout_ms")
    try:
        response = http.fetch(
            wanted.get("method", "GET"),
            wanted["url"],
            headers=[(name, value) for name, value in wanted.get("headers", [])],
            body=wanted.get("body"),
            timeout=None if after is None else after / 1000,
        )
    except http.Error as error:
        raise weir.Reject(f"{error.kind}: {error}") from None
    described = {"status": response.status, "type": response.header("Content-Type")}
    text = response.text()[:100]
    return Output.json({**described, "length": len(response.body), "body": text})
