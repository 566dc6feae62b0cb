"""What is known about a Pulumi stack: its project file, backend, owner and exported state."""


class UnreadableExport(Exception):
    """The file is not an export of a stack, or lacks what is needed. The message says why, and what to do."""
