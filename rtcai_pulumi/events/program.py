"""Functions for programs that use an event file."""

from pathlib import Path

import pulumi
from pulumi import ResourceOptions

from rtcai_pulumi.events.document import InvalidEvent
from rtcai_pulumi.events.loader import DEFAULT_FILE, load_event
from rtcai_pulumi.events.model import Event
from rtcai_pulumi.events.rooms import EventRooms


class InvalidEventFile(pulumi.RunError):
    """An event file has problems. All of them are listed in the message; fix them. `rtcai validate` lists them, too."""


def load(file: str | Path = DEFAULT_FILE) -> Event:
    """Read an event file, for a program that changes or adds to the event.

    Args:
        file: its path; prompt files are searched next to it.

    Returns:
        The event, with its prompt files read and its secrets as references, for `EventRooms`.

    Raises:
        InvalidEventFile: the event has problems; all of them are listed, each with its line.
    """
    try:
        return load_event(file)
    except InvalidEvent as error:
        raise InvalidEventFile(str(error)) from None


def run(file: str | Path | None = None, opts: ResourceOptions | None = None) -> EventRooms:
    """The whole program for a team that has only an event file.

    It starts the event's agents and exports ``tasks`` (room's key to ``"cid/taskId"``) and ``readme``.

    Args:
        file: the path of the event file. Default: the stack's config ``rtcai:eventFile``, else ``event.yaml``.
        opts: Pulumi's options, for all rooms.

    Returns:
        The event's rooms, for additional exports.
    """
    rooms = EventRooms.from_file(file or pulumi.Config("rtcai").get("eventFile") or DEFAULT_FILE, opts=opts)
    pulumi.export("tasks", rooms.tasks)
    pulumi.export("readme", rooms.readme)
    return rooms
