"""Where chains ask for their starting points, which can be closed to them."""

import threading
import time
from collections.abc import Callable

from bayesnlme._types import Floats

QUIET = 0.1
"""So many seconds without a question mean that no chain is left that would ask."""


class StartingPoints:
    """A source of starting points for chains that run in threads of their own.

    Where one chain finds no start, nutpie reports it while the others go on asking, up to 500 times
    each. A thread that asks when the interpreter has begun to end brings the process down, so the
    source is closed first.

    Parameters
    ----------
    find : callable
        Returns a point for a seed.
    """

    def __init__(self, find: Callable[[int | None], Floats]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._asking = 0
        self._last = 0.0
        self._closed = False

    def __call__(self, seed: int | None) -> Floats:
        """Return a point.

        Raises
        ------
        RuntimeError
            If the source was closed; it ends the chain that asked.
        """
        with self._lock:
            self._asking += 1
        try:
            if self._closed:
                raise RuntimeError("Another chain found no start.")
            return self._find(seed)
        finally:
            with self._lock:
                self._asking -= 1
                self._last = time.monotonic()

    def close(self) -> None:
        """Give no more points, and wait until no chain asks for one."""
        self._closed = True
        while self._asking or time.monotonic() - self._last < QUIET:
            time.sleep(QUIET / 10)
