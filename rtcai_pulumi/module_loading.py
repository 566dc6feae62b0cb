"""How modules are loaded: a program and a plugin process start for each command, so this is part of its time."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLUGIN: Final = "pulumi.dynamic"
_PROGRAM: Final = "pulumi-language-python-exec"


@contextmanager
def keep_what_is_loaded() -> Iterator[None]:
    """Load modules in the block without searching them for garbage: what they define stays until the process ends.

    The search took a quarter of the time of loading them in a plugin process, and almost half in a program, which has
    loaded the SDK before. Python would search everything again at the end of the process, and the engine waits for
    that. So if the process serves a single command of Pulumi, what exists at the end of the block is never searched:
    the operating system frees it. Other processes, such as one that uses the Automation API, may live for months; they
    are searched as before.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if _serves_one_command():
            gc.freeze()
        if was_enabled:
            gc.enable()


def _serves_one_command() -> bool:
    return any(argument == _PLUGIN or argument.endswith(_PROGRAM) for argument in sys.orig_argv)
