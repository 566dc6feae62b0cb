"""The one error that ends a target with a message."""


class RefusalError(Exception):
    """A target cannot go on. The message says what happened, the facts, and what to do.

    Attributes:
        code: the exit code: 1 where something failed, 2 where the target must not act as things stand.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
