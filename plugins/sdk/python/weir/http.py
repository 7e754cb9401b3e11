"""HTTP requests to the servers that the operator's `grants.http` names.

    from weir import http


    @weir.operator
    def process(message: Message) -> Outputs:
        try:
            response = http.fetch("POST", "https://api.example.com/rates", body=message.payload, timeout=2)
        except http.Error as error:
            raise weir.Retry(str(error)) from None
        if response.status != 200:
            raise weir.Reject(f"status {response.status}")
        return Output(response.body)

The plugin's `plugin.yaml` says `http: true`. A request is at least once, as its message is: send the
sequence as an idempotency key where a repeat does harm. In a test, `testing.serve` answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from . import _host
from ._message import Header

__all__ = ["Error", "Request", "Response", "fetch", "get"]

_WRITTEN = 4096
"""Bytes that a stream takes at once, by its contract."""

_READ = 64 << 10
"""Bytes to ask for at once."""

_TIMEOUTS = (
    "DnsTimeout",
    "ConnectionTimeout",
    "ConnectionReadTimeout",
    "ConnectionWriteTimeout",
    "HttpResponseTimeout",
)


class Error(Exception):
    """There is no response, or not all of it. Uncaught, it makes the message a dead letter."""

    kind: Literal["denied", "timeout", "too-large", "failed"]
    """`denied`: it is not granted; `too-large`: more than the operator's `limits.http-response`."""

    def __init__(
        self, reason: str, kind: Literal["denied", "timeout", "too-large", "failed"] = "failed"
    ) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass
class Request:
    """A request, as `testing.serve` hands it over."""

    method: str
    url: str
    headers: list[Header]
    body: bytes | None
    timeout: float | None


@dataclass
class Response:
    """A response, whatever its status."""

    status: int
    headers: list[Header] = field(default_factory=list)
    """The names are in lower case."""
    body: bytes = b""
    """At most as many bytes as the operator's `limits.http-response`."""

    def header(self, name: str) -> str | None:
        """The first value of a header, compared without regard to case."""
        name = name.lower()
        return next((value for key, value in self.headers if key.lower() == name), None)

    def text(self) -> str:
        """The body as text. Raises `UnicodeDecodeError` if it is not UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON. Raises `ValueError` if it is none."""
        return json.loads(self.body)


def get(
    url: str,
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    timeout: float | None = None,
) -> Response:
    """Sends a GET and waits for the response: see `fetch`."""
    return fetch("GET", url, headers=headers, timeout=timeout)


def fetch(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes | str | None = None,
    timeout: float | None = None,
) -> Response:
    """Sends a request and waits for the response, whatever its status. Raises `Error` if there is none.

    `content-length` is added to the headers, and `host` is that of the address. `timeout` is the most
    that it waits, in seconds, for a connection, for the answer, and between parts of the answer; otherwise
    it is half of the operator's `limits.deadline`.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lines = [Header(name, value) for name, value in pairs]
    content = body.encode() if isinstance(body, str) else body
    request = Request(method, url, lines, content, timeout)
    if _host.http is None:
        answer: Response = _host.answer(request)
        return answer
    return _send(request)


def _send(request: Request) -> Response:
    types = _host.http.types
    parts = re.fullmatch(r"((https?)://([^/?#]*))([^#]*)(?:#.*)?", request.url, re.I | re.S)
    if parts is None:
        raise Error("a request needs an address that begins with `https://` or `http://`")
    server, scheme, authority, path = parts.groups()
    entries = [(name, value.encode()) for name, value in request.headers]
    if request.body is not None:
        entries.append(("content-length", str(len(request.body)).encode()))
    try:
        fields = types.Fields.from_list(entries)
    except _host.http.Err:
        raise Error(f"a request to `{server}` has a header that cannot be sent") from None
    message = types.OutgoingRequest(fields)
    try:
        message.set_method(types.Method_Other(request.method))
        message.set_scheme(types.Scheme_Https() if len(scheme) == 5 else types.Scheme_Http())
        message.set_authority(authority)
        message.set_path_with_query(path if path.startswith("/") else f"/{path}")
    except _host.http.Err:
        what = "an address or a method that is not valid"
        raise Error(f"a request to `{server}` has {what}") from None
    body = None if request.body is None else message.body()
    try:
        future = _host.http.handle(message, _options(request.timeout))
        with future:
            if body is not None:
                _write(body, request.body or b"")
            with future.subscribe() as pollable:
                pollable.block()
            head = future.get().value
            if not isinstance(head, _host.http.Ok):
                raise head
        return _read(head.value)
    except _host.http.Err as error:
        raise _explained(server, type(error.value).__name__.removeprefix("ErrorCode_")) from None


def _options(timeout: float | None) -> Any:
    if timeout is None:
        return None
    nanoseconds = min(max(int(timeout * 1e9), 1), _host.MOST)
    options = _host.http.types.RequestOptions()
    options.set_connect_timeout(nanoseconds)
    options.set_first_byte_timeout(nanoseconds)
    options.set_between_bytes_timeout(nanoseconds)
    return options


def _write(body: Any, content: bytes) -> None:
    """Sends the body. What goes wrong on the way is told by the response."""
    try:
        with body.write() as stream:
            for start in range(0, len(content), _WRITTEN):
                stream.blocking_write_and_flush(content[start : start + _WRITTEN])
        _host.http.types.OutgoingBody.finish(body, None)
    except _host.http.Err:
        pass


def _read(response: Any) -> Response:
    with response:
        with response.headers() as fields:
            lines = [Header(name, value.decode(errors="replace")) for name, value in fields.entries()]
        content = bytearray()
        with response.consume() as body, body.stream() as stream:
            try:
                while True:
                    content += stream.blocking_read(_READ)
            except _host.http.Err as error:
                cause = getattr(error.value, "value", None)
                if cause is not None:
                    code = _host.http.types.http_error_code(cause)
                    raise _host.http.Err(code) from None
        return Response(response.status(), lines, bytes(content))


def _explained(server: str, code: str) -> Error:
    request = f"a request to `{server}`"
    if code == "HttpRequestDenied":
        return Error(f"{request} was denied: it is not in `grants.http`", "denied")
    if code == "DestinationIpProhibited":
        why = "it leads to an address that is not public, and it is not in `grants.http-private`"
        return Error(f"{request} was denied: {why}", "denied")
    if code == "HttpResponseBodySize":
        return Error(f"the response of `{server}` is larger than `limits.http-response`", "too-large")
    if code in _TIMEOUTS:
        return Error(f"{request} timed out", "timeout")
    return Error(f"{request} failed: {code}")
