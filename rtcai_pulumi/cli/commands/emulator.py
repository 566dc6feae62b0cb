"""``rtcai emulator``."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from rtcai_pulumi.cli.output import print_error

_Port = Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1 to listen on; 0 chooses a free port.")]
_State = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        help="File that stores rooms and tasks, so that a restarted emulator continues with them. "
        "Default: nothing is stored.",
    ),
]
_Seed = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        help="JSON file with initial rooms, tasks and requests, as for POST /-/seed; read only if the --state file is "
        "empty.",
    ),
]
_StartSeconds = Annotated[
    float,
    typer.Option(min=0, max=1e7, help="Seconds that a task takes to start; until then its agent is not in the room."),
]
_EndSeconds = Annotated[
    float | None,
    typer.Option(min=0, max=1e7, help="Seconds after its start at which a task ends by itself. Default: never."),
]
_TasksOutliveRooms = Annotated[
    bool, typer.Option("--tasks-outlive-rooms", help="Tasks keep running after their room has ended.")
]
_Rooms = Annotated[
    Literal["auto", "required"],
    typer.Option(help="If the room of a create does not exist: auto opens it, required refuses the create."),
]
_AllowUnknownFields = Annotated[
    bool, typer.Option("--allow-unknown-fields", help="Accept fields that the API page does not list.")
]
_RoomMissingCode = Annotated[
    int,
    typer.Option(
        min=201, help='Code of the response "room does not exist"; the code of the service is not documented.'
    ),
]
_TaskMissingCode = Annotated[
    int, typer.Option(min=201, help='Code of the response "no such task"; the code of the service is not documented.')
]
_Dedup = Annotated[
    Literal["ignore", "replay", "refuse"],
    typer.Option(
        help="If the X-custom-traceid of a create was used before: ignore starts another task, replay repeats the "
        "first response, refuse responds with code 431. What the service does is not documented."
    ),
]
_MaxRps = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Requests per second of one AppKey, for each of create, close and the room API; further requests get HTTP "
        "429. Default: no limit.",
    ),
]
_RetryAfter = Annotated[
    bool, typer.Option("--retry-after", help="Add the header Retry-After to responses above --max-rps.")
]
_LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"],
    typer.Option(help="Level of the log on stderr; info logs a line for each request."),
]


def emulator(
    *,
    port: _Port = 8907,
    state: _State = None,
    seed: _Seed = None,
    rooms: _Rooms = "auto",
    allow_unknown_fields: _AllowUnknownFields = False,
    room_missing_code: _RoomMissingCode = 404,
    task_missing_code: _TaskMissingCode = 404,
    dedup: _Dedup = "ignore",
    max_rps: _MaxRps = None,
    retry_after: _RetryAfter = False,
    start_seconds: _StartSeconds = 0.0,
    end_seconds: _EndSeconds = None,
    tasks_outlive_rooms: _TasksOutliveRooms = False,
    log_level: _LogLevel = "info",
) -> None:
    """Run a local emulator of the RTC AI service.

    It runs until SIGTERM or Ctrl+C, listens on 127.0.0.1 only, and prints its URL when it is ready. Open the URL in a
    browser for a live page of rooms, agents and requests. The emulator accepts one AppKey: emulator-app-key with the
    AppSecret emulator-app-secret, or those in RTCAI_EMULATOR_APP_KEY and RTCAI_EMULATOR_APP_SECRET. Set
    RTCAI_EMULATOR_ACCOUNTS for further accounts, as in "key=secret key2=secret2".

    GET /-/tasks returns the running and ended tasks, GET /-/requests the received requests. /-/faults makes requests
    fail. While the emulator runs, /-/settings changes --rooms, --dedup, --max-rps, --retry-after and when tasks start
    and end by themselves, and /-/clock sets its time.
    """
    try:
        from rtcai_pulumi.emulator import serve  # noqa: PLC0415  the extra "emulator" may be missing
        from rtcai_pulumi.emulator.errors import CannotStart  # noqa: PLC0415  as above
        from rtcai_pulumi.emulator.settings import Dedup, RoomPolicy, settings_from  # noqa: PLC0415  as above
    except ModuleNotFoundError as missing:
        if missing.name not in {"jinja2", "starlette", "uvicorn"}:
            raise
        sys.exit('rtcai emulator needs the extra "emulator": pip install "rtcai-pulumi[emulator]"')
    try:
        settings = settings_from(
            os.environ,
            rooms=RoomPolicy(rooms),
            allow_unknown_fields=allow_unknown_fields,
            room_missing_code=room_missing_code,
            task_missing_code=task_missing_code,
            dedup=Dedup(dedup),
            max_rps=max_rps,
            retry_after=retry_after,
            start_seconds=start_seconds,
            end_seconds=end_seconds,
            tasks_end_with_room=not tasks_outlive_rooms,
        )
        serve.run(settings, port, state, seed, log_level)
    except CannotStart as error:
        print_error(f"rtcai emulator: {error}")
        raise typer.Exit(1) from None
