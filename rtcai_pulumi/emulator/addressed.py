"""Which room a request is about, as far as it tells before anything is verified."""

from typing import Any

from rtcai_pulumi.emulator.call import Call
from rtcai_pulumi.emulator.state import State
from rtcai_pulumi.emulator.verbs import Verb


def room_of(verb: Verb, call: Call, state: State) -> str | None:
    """The name of the room that a request is about; None where it names none that is known."""
    body: dict[str, Any] = call.content if isinstance(call.content, dict) else {}
    match verb:
        case "create":
            return _text(body.get("cname"))
        case "room-create":
            return _text(body.get("channelName"))
        case "close":
            return _name_of(body.get("cid"), state)
        case _:
            number = call.path_params.get("cid", "")
            is_number = number.isascii() and number.isdecimal() and len(number) <= 20
            return _name_of(int(number), state) if is_number else _text(dict(call.query).get("cname"))


def _name_of(cid: object, state: State) -> str | None:
    return state.name_of(cid) if isinstance(cid, int) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
