"""What can go wrong in the emulator.

::

    Exception
    ├── Refused                  the service says no to one request
    ├── NoAnswer                 one request ends without an answer
    │   ├── ClientGone
    │   └── Dropped
    ├── NotUnderstood            a fault, a setting, a time or a seed that makes no sense; also a ValueError
    └── CannotStart              the emulator does not come up
        ├── PortTaken
        ├── StateFileUnusable
        └── SeedUnusable
"""


class Refused(Exception):
    """The service says no to one request. Its text names places and rules, never a value of the request."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class NoAnswer(Exception):
    """One request ends without an answer. The text says why, in the words of the record."""


class ClientGone(NoAnswer):
    """The client went away while its request was held; there is nobody to answer."""

    def __init__(self) -> None:
        super().__init__("client gone")


class Dropped(NoAnswer):
    """The emulator was reset or stopped while the request waited; the client is hung up on."""

    def __init__(self) -> None:
        super().__init__("dropped")


class NotUnderstood(ValueError):
    """A fault, a setting, a time or a seed that makes no sense. The message names each key that is wrong, and why."""


class CannotStart(Exception):
    """The emulator does not come up. The message is one sentence for whoever started it."""


class PortTaken(CannotStart):
    """The port cannot be listened on; another one, or port 0, can."""


class StateFileUnusable(CannotStart):
    """The state file is not what this emulator wrote, belongs to another running one, or cannot be written."""


class SeedUnusable(CannotStart):
    """The file with what to start from cannot be read, or makes no sense; nothing of it was taken."""
