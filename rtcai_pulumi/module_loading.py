"""How the plugin process loads modules: it starts for each command, so its start is part of every command's time."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def load_for_good() -> Iterator[None]:
    """Load modules in the block that stay until the process ends.

    Python would search them for garbage while they are loaded and again at the end of the process, and find none. The
    two searches took a fifth of the plugin's start and a fifth of a second at its end.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
