"""What is known about a Pulumi stack: its project file, backend, owner and exported state."""

from typing import Final

OLDEST_CLI: Final = "3.216.0"
"""The oldest supported version of the Pulumi CLI."""


class UnreadableExport(Exception):
    """The file is not an export of a stack, or lacks what is needed. The message says why, and what to do."""
