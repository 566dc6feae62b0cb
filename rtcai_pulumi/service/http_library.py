"""The HTTP library, without its command line.

If ``rich``, ``click`` and ``pygments`` are installed, as the extra ``cli`` does, ``import httpx`` loads them all for a
command that this package does not use. That took longer than the library itself, in each plugin process.
"""

import sys
from typing import Final

_COMMAND_LINE: Final = "httpx._main"

_is_new = "httpx" not in sys.modules
if _is_new:
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]  # an import of it is then an ImportError
try:
    import httpx as httpx  # noqa: PLC0414  exported
finally:
    if _is_new:
        sys.modules.pop(_COMMAND_LINE, None)
