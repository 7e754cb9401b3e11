"""The operator's part of the pipeline file, for code that has no hold of the operator.

In a test there is no host, and so nothing to find.
"""

import json
from typing import Any

from . import _host

__all__ = ["get", "operator", "pipeline"]


def get(pointer: str, default: Any = None) -> Any:
    """The value at a JSON pointer (RFC 6901; "" is the whole configuration), or `default`."""
    text = _host.config.get(pointer)
    return default if text is None else json.loads(text)


def pipeline() -> str:
    """The pipeline's name."""
    return _host.config.pipeline()


def operator() -> str:
    """The operator's name within the pipeline."""
    return _host.config.operator()
