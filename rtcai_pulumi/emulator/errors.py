"""What can go wrong in the emulator.

::

    Exception
    ├── Refused                  the service says no to one request
    └── CannotStart              the emulator does not come up
        ├── PortTaken
        └── StateFileUnusable
"""


class Refused(Exception):
    """The service says no to one request. Its text names places and rules, never a value of the request."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class CannotStart(Exception):
    """The emulator does not come up. The message is one sentence for whoever started it."""


class PortTaken(CannotStart):
    """The port cannot be listened on; another one, or port 0, can."""


class StateFileUnusable(CannotStart):
    """The state file is not what this emulator wrote, belongs to another running one, or cannot be written."""
