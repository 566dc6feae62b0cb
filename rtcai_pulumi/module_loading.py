"""How the plugin process loads modules: it starts for each command, so its start is part of every command's time."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def pause_garbage_collection() -> Iterator[None]:
    """Load modules in the block without searching them for garbage: what they define stays until the process ends.

    The search took a quarter of the time of loading them. `gc.freeze` would also save the search at the end of the
    process, but it would hide the objects of other providers from it, and the thread pool from `widen_pool`.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
