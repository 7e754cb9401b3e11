"""For unit tests, where there is neither WebAssembly nor a host: what a plugin has written."""

from ._memory import clear as clear_state
from ._memory import serve, take_timers

__all__ = ["clear_state", "serve", "take_timers"]
