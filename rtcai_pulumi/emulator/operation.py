"""What an operation of the API is made of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rtcai_pulumi.emulator.answers import Answer
from rtcai_pulumi.emulator.call import Call, Flavour
from rtcai_pulumi.emulator.emulated import EmulatedService
from rtcai_pulumi.emulator.verbs import Verb

Work = Callable[[EmulatedService, Call, str], Awaitable[Answer]]
"""What an operation does once the sender is known: the answer to a call, under a request id."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API."""

    verb: Verb
    """Its name for people, for faults and for counts."""
    work: Work
    flavour: Flavour = Flavour.SERVER
