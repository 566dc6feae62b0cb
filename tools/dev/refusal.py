"""The one error that ends a target with a message."""


class RefusalError(Exception):
    """A target cannot continue. The message says what happened, the facts, and what to do.

    Attributes:
        code: the exit code: 1 if something failed, 2 if the target must not act in the current situation.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
