"""Numbers for whoever watches the pipeline, on the host's `/metrics` with the pipeline's and the
operator's name on them.

A name is 1 to 64 of `a-z 0-9 _`, beginning with a letter, and an operator may use up to 64 names;
what breaks these rules is dropped and counted by the host. Nothing happens in a test.
"""

from . import _host

__all__ = ["add", "observe", "set"]


def add(name: str, value: int = 1) -> None:
    """Adds to the counter `weir_plugin_counter_total{name}`; a counter does not go down."""
    if not 0 <= value < 1 << 64:
        raise ValueError(f"a counter cannot grow by {value}")
    _host.metrics.add(name, value)


def set(name: str, value: float) -> None:
    """Sets the gauge `weir_plugin_gauge{name}`."""
    _host.metrics.set(name, float(value))


def observe(name: str, value: float) -> None:
    """Records an observation in the histogram `weir_plugin_histogram{name}`."""
    _host.metrics.observe(name, float(value))
