"""What comes in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from ._outcome import Reject


class Header(NamedTuple):
    """One header line. A name may occur more than once."""

    name: str
    value: str


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"`{constant}` is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


# The field order is that of the contract: the host's messages are made positionally.
@dataclass(slots=True)
class Message:
    """One message. In a test make one with as many of the fields as it needs."""

    subject: str
    """The subject it was published on, or that an earlier operator in the chain gave it."""
    payload: bytes
    """The bytes, as they were published. Not necessarily text."""
    headers: list[Header] = field(default_factory=list)
    """In order; only those that the operator's `headers:` in the pipeline file asks for."""
    key: str | None = None
    """What the pipeline's `key:` takes from the message, or an earlier operator set."""
    event_time: int = 0
    """When it happened, in nanoseconds since the Unix epoch."""
    sequence: int = 1
    """In the source stream, from 1. A redelivered message has the same."""
    attempt: int = 1
    """1 on first delivery, one more on each redelivery."""

    def json(self) -> Any:
        """The payload as JSON. Integers are exact, however large.

        Raises `Reject`, with the place, if it is not JSON.
        """
        try:
            return _DECODER.decode(self.payload.decode())
        except UnicodeDecodeError as error:
            raise Reject(f"cannot read the payload as JSON: {_not_utf8(error)}") from None
        except ValueError as error:
            raise Reject(f"cannot read the payload as JSON: {error}") from None

    def text(self) -> str:
        """The payload as text. Raises `Reject`, with the place, if it is not UTF-8."""
        try:
            return self.payload.decode()
        except UnicodeDecodeError as error:
            raise Reject(f"cannot read the payload as text: {_not_utf8(error)}") from None

    def header(self, name: str) -> str | None:
        """The first value of a header; names are compared without regard to case."""
        name = name.lower()
        return next((header.value for header in self.headers if header.name.lower() == name), None)

    def token(self, index: int) -> str | None:
        """One token of the subject, from 0: of `orders.berlin.paid`, token 1 is `berlin`."""
        tokens = self.subject.split(".")
        return tokens[index] if 0 <= index < len(tokens) else None


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"it is not UTF-8: {error.reason} at byte {error.start}"
