"""What goes out, or why nothing does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Union

ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Output:
    """One message to be published.

    A field that is `None` is taken over from the input message by the host: it is not copied,
    neither into the plugin nor out of it.
    """

    payload: bytes | None = None
    """The bytes. For text and JSON see `text` and `json`."""
    subject: str | None = None
    """Where it goes, before the pipeline's sink template is applied: tokens separated by dots,
    without wildcards or white space."""
    headers: Sequence[tuple[str, str]] | None = None
    """Replaces all headers of the input; `[*message.headers, ("More", "2")]` adds to them. Names
    that begin with `Nats-` belong to the host."""
    key: str | None = None
    """The key of the new message."""

    @classmethod
    def json(
        cls,
        value: Any,
        *,
        subject: str | None = None,
        headers: Sequence[tuple[str, str]] | None = None,
        key: str | None = None,
    ) -> Output:
        """A message whose payload is `value` as compact JSON, in UTF-8.

        Raises `TypeError` or `ValueError` if there is something in it that JSON has no form for.
        """
        return cls(ENCODER.encode(value).encode(), subject, headers, key)

    @classmethod
    def text(
        cls,
        text: str,
        *,
        subject: str | None = None,
        headers: Sequence[tuple[str, str]] | None = None,
        key: str | None = None,
    ) -> Output:
        """A message whose payload is `text`, in UTF-8."""
        return cls(text.encode(), subject, headers, key)


PASS = Output()
"""The message as it came. No bytes are moved."""

Outputs = Union[Output, Iterable[Output], None]
"""What becomes of one message: one output, many, or none, which drops it."""


class Reject(Exception):
    """It is never going to work: a dead letter, with this reason.

    Raised while the operator is made, it refuses the configuration: `weir check` prints the reason
    and the pipeline does not start.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Retry(Exception):
    """A passing fault: deliver the message again.

    `after` is the least time until then, in seconds or as a `timedelta`; `None` leaves it to the
    pipeline's backoff. The reason is for whoever reads the log.
    """

    def __init__(self, reason: str, after: float | timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = timedelta(seconds=after) if isinstance(after, (int, float)) else after
