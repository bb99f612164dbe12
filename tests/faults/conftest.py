"""The web server whose prices the test makes."""

from tests.sockets import start_ticking, ticking

__all__ = ["start_ticking", "ticking"]
