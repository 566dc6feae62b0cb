"""The account check: is an agent or a room reached with the settings that it was started with?

"No such task" and "no such room" from another account mean nothing. To believe them would drop an agent or a room that
still exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.journal.record import Record, RoomRecord
from rtcai_pulumi.service.errors import Facts, OtherAccount
from rtcai_pulumi.service.settings import name_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtcai_pulumi.lifecycle.context import Run
    from rtcai_pulumi.service.settings import Settings

_OF_A_TASK: Final = ("app_key", "endpoint")
_OF_A_ROOM: Final = ("app_key", "room_endpoint")
_KEYS: Final = {"app_key": "appKey", "endpoint": "endpoint", "room_endpoint": "roomEndpoint"}
"""The settings that make an account, each with its key in the stack's configuration."""


def require_account(item: Record | RoomRecord, settings: Settings, *, room_api: bool = False) -> None:
    """Raise an error if the settings name another account than the one an agent or a room belongs to.

    Args:
        item: the agent or the room.
        settings: the settings of this run.
        room_api: whether the room API is asked about an agent's room. Then it has to be the same one, too.

    Raises:
        OtherAccount: the settings name another AppKey, endpoint or room API.
    """
    if isinstance(item, Record):
        label, began = f"the agent in room {item.cname}", "task was started"
        facts = Facts(cid=item.cid, task=item.task_id, request_id=item.request_id, trace_id=item.trace_id)
        compared = dict.fromkeys((*_OF_A_TASK, *_OF_A_ROOM)) if room_api else dict.fromkeys(_OF_A_TASK)
    else:
        label, began, facts = f"room {item.cname}", "room was opened", Facts(cid=item.cid)
        compared = dict.fromkeys(_OF_A_ROOM)
    different = [name for name in compared if getattr(settings, name) != getattr(item, name)]
    if different:
        names = {name: name_setting(_KEYS[name]) for name in different}
        differences = [
            f"{names[name].variable} is {getattr(settings, name)}, but the {began} with {getattr(item, name)}"
            for name in different
        ]
        summary = f"The settings belong to another account than {label}: {'; '.join(differences)}."
        advice = f"set the values that the {began} with, and run again"
        raise OtherAccount(summary, facts, advice, list(names.values()))


def is_account_of(outputs: Mapping[str, Any], settings: Settings) -> bool:
    """Whether an agent in a state was started with the account of the settings."""
    return all(outputs.get(_KEYS[name]) == getattr(settings, name) for name in _OF_A_TASK)


def compare_accounts(item: Record | RoomRecord, settings: Settings, run: Run, *, is_replaced: bool) -> None:
    """Report during a preview that the settings name another account, before anything is changed.

    Args:
        item: the agent or the room in the state.
        settings: the settings of this run.
        run: reports the warning.
        is_replaced: whether the agent or the room is to be replaced. The replacement would fail halfway, so this raises
            an error instead of a warning.

    Raises:
        OtherAccount: the settings name another account, and `is_replaced` is set.
    """
    try:
        require_account(item, settings)
    except OtherAccount as error:
        if is_replaced:
            raise
        run.report(f"warning: {error}")
