"""What a program does with an event file."""

from pathlib import Path

import pulumi
from pulumi import ResourceOptions

from rtcai_pulumi.events.document import InvalidEvent
from rtcai_pulumi.events.loader import DEFAULT_FILE, load_event
from rtcai_pulumi.events.model import Event
from rtcai_pulumi.events.rooms import EventRooms


class InvalidEventFile(pulumi.RunError):
    """An event file has mistakes, all of them listed in the message. Mend them; `rtcai validate` lists them, too."""


def load(file: str | Path = DEFAULT_FILE) -> Event:
    """Read an event file, for a program that has more to say about the event than the file.

    Args:
        file: its path; prompt files are looked for beside it.

    Returns:
        The event, with its prompt files read and its secrets as references; `EventRooms` takes it.

    Raises:
        InvalidEventFile: everything that is wrong with it, each with its line.
    """
    try:
        return load_event(file)
    except InvalidEvent as error:
        raise InvalidEventFile(str(error)) from None


def run(file: str | Path | None = None, opts: ResourceOptions | None = None) -> EventRooms:
    """The whole program of a team that has an event file only.

    It starts the event's agents and exports ``tasks`` (room's key to ``"cid/taskId"``) and ``readme``.

    Args:
        file: the path of the event file. Default: the stack's config ``rtcai:eventFile``, else ``event.yaml``.
        opts: Pulumi's options, for all rooms.

    Returns:
        The event's rooms, for exports of one's own.
    """
    rooms = EventRooms.from_file(file or pulumi.Config("rtcai").get("eventFile") or DEFAULT_FILE, opts=opts)
    pulumi.export("tasks", rooms.tasks)
    pulumi.export("readme", rooms.readme)
    return rooms
