"""The handle of a hold, for tests that crash a client while its request is under way."""

from typing import Self

from rtcai_pulumi.emulator.running import Running


class Hold:
    """Requests that are held at one point; made by `Emulator.hold`. Its methods may be called from any thread.

    As a context manager it is released at the end of the block.
    """

    def __init__(self, running: Running, fault: int) -> None:
        self._running = running
        self.fault = fault
        """Its number among the faults."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.release()

    def wait(self, count: int = 1, timeout: float = 30.0) -> None:
        """Return once so many requests have been held, those included whose client has gone away since.

        Raises:
            TimeoutError: there were fewer after ``timeout`` seconds.
            LookupError: the hold was released or removed before, or the emulator was reset or stopped.
        """
        if self._running.ended:
            message = "the emulator has stopped"
            raise LookupError(message)
        self._running.ask(lambda admin: admin.until_held(self.fault, count, timeout), timeout)

    def held(self) -> int:
        """How many requests are held now.

        Raises:
            LookupError: the hold was removed, or the emulator was reset.
        """
        held: int = self._running.ask(lambda admin: admin.fault(self.fault))["held"]
        return held

    def release(self) -> None:
        """Let go on what is held, and hold nothing more. Nothing happens where the hold is over."""
        if not self._running.ended:
            try:
                self._running.ask(lambda admin: admin.release(self.fault))
            except LookupError:
                return  # removed, or the emulator was reset: what it held goes on, or was hung up on
