"""The errors of the emulator.

::

    Exception
    ├── Rejection                the service refuses one request
    ├── NoAnswer                 one request ends without an answer
    │   ├── ClientGone
    │   └── RequestDropped
    ├── InvalidInput             a fault, a setting, a time or a seed that is not valid; also a ValueError
    └── CannotStart              the emulator cannot start
        ├── PortTaken
        ├── StateFileUnusable
        └── SeedUnusable
"""


class Rejection(Exception):
    """The service refuses one request. The text names fields and rules, never a value of the request."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class NoAnswer(Exception):
    """One request ends without an answer. The text says why, in the wording of the request log."""


class ClientGone(NoAnswer):
    """The client disconnected while its request was held: nothing can be sent to it any more."""

    def __init__(self) -> None:
        super().__init__("client gone")


class RequestDropped(NoAnswer):
    """The emulator was reset or stopped while the request waited; the client is disconnected."""

    def __init__(self) -> None:
        super().__init__("dropped")


class InvalidInput(ValueError):
    """A fault, a setting, a time or a seed is not valid. The message names each wrong key and the reason."""


class CannotStart(Exception):
    """The emulator cannot start. The message is one sentence for the user who started it."""


class PortTaken(CannotStart):
    """The port is in use or not allowed; choose another port, or port 0."""


class StateFileUnusable(CannotStart):
    """The state file was not written by this emulator, is used by another one that runs, or cannot be written."""


class SeedUnusable(CannotStart):
    """The seed file cannot be read or is not valid; nothing of it was added."""
