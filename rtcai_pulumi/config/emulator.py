"""The settings of the emulator: name, type, default, range and meaning of each, once.

The keywords of `Emulator`, the options of ``rtcai emulator``, the admin path ``/-/settings`` and the table in
``docs/emulator.md`` are made from these models. They are not in `rtcai_pulumi.emulator`, because importing that package
needs the extra ``emulator``, and ``rtcai emulator --help`` must work without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self, TypedDict

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MAX_SECONDS: Final = 1e7
"""The longest time that a task may take to start or to end: about four months."""
PLACEHOLDER_APP_KEY: Final = "emulator-app-key"
PLACEHOLDER_APP_SECRET: Final = "emulator-app-secret"  # noqa: S105  a placeholder, documented, good for this machine only

RoomPolicy = Literal["auto", "required"]
"""What a create does in a room that is not open."""
Dedup = Literal["ignore", "replay", "refuse"]
"""The answer to a create whose ``X-custom-traceid`` was used before."""


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """Marks a setting that ``rtcai emulator`` reads from the environment."""

    name: str


@dataclass(frozen=True, slots=True)
class OffOption:
    """Marks a setting that is on by default; ``rtcai emulator`` has an option that turns it off."""

    name: str
    """Name of the option, with underscores."""
    help: str


class ChangeableSettings(BaseModel):
    """The settings that can be changed while an emulator runs. In a change, omitted ones stay as they are."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, alias_generator=to_camel)

    rooms: RoomPolicy = Field(
        default="auto",
        description="A create in a room that is not open: auto opens the room, required refuses the create.",
    )
    dedup: Dedup = Field(
        default="ignore",
        description="A create whose X-custom-traceid was used before: ignore starts another task, replay repeats the "
        "first answer, refuse answers code 431. What the service does is not documented.",
    )
    max_rps: int | None = Field(
        default=None,
        ge=1,
        description="Maximum requests per second for each AppKey, counted separately for create, close and the room "
        "API. Further requests get HTTP 429. Default: no limit.",
    )
    retry_after: bool = Field(
        default=False, description="Whether answers to requests above the rate limit have the header Retry-After."
    )
    start_seconds: float = Field(
        default=0.0,
        ge=0,
        le=MAX_SECONDS,
        description="Seconds that a task takes to start; until then its agent is not in the room.",
    )
    end_seconds: float | None = Field(
        default=None,
        ge=0,
        le=MAX_SECONDS,
        description="Seconds after its start at which a task ends by itself. Default: never.",
    )
    tasks_end_with_room: Annotated[
        bool, OffOption("tasks_outlive_rooms", "The end of a room does not end the tasks in it.")
    ] = Field(default=True, description="Whether the end of a room ends the tasks in it.")

    @classmethod
    def of(cls, settings: "EmulatorSettings") -> Self:
        """Return the current values of the settings that can be changed."""
        return cls.model_validate({name: getattr(settings, name) for name in cls.model_fields}, by_name=True)


class EmulatorSettings(ChangeableSettings):
    """The settings of one emulator. Those of its own are fixed when it starts."""

    allow_unknown_fields: bool = Field(
        default=False, description="Accept fields that the API page does not list; everything else stays strict."
    )
    room_missing_code: int = Field(
        default=404, ge=201, description='Code of the answer "room does not exist"; the real one is not documented.'
    )
    task_missing_code: int = Field(
        default=404, ge=201, description='Code of the answer "no such task"; the real one is not documented.'
    )
    app_key: Annotated[str, EnvironmentVariable("RTCAI_EMULATOR_APP_KEY")] = Field(
        default=PLACEHOLDER_APP_KEY, description="The first AppKey, and the one that is used if none is given."
    )
    app_secret: Annotated[str, EnvironmentVariable("RTCAI_EMULATOR_APP_SECRET")] = Field(
        default=PLACEHOLDER_APP_SECRET, repr=False, description="Its AppSecret."
    )
    accounts: Annotated[Mapping[str, str] | None, EnvironmentVariable("RTCAI_EMULATOR_ACCOUNTS")] = Field(
        default=None,
        repr=False,
        description="Further AppKeys, each with its AppSecret. Each account has its own rooms and tasks.",
    )

    @property
    def secrets(self) -> Mapping[str, str]:
        """The AppSecret of each known AppKey."""
        return {**(self.accounts or {}), self.app_key: self.app_secret}

    def with_changes(self, changes: ChangeableSettings) -> Self:
        """Return these settings with the given changes."""
        return self.model_copy(update={name: getattr(changes, name) for name in changes.model_fields_set})

    def times_of_task(self, now_ms: int) -> tuple[int, int | None]:
        """Return when a task that is created now starts to run, and when it ends by itself; milliseconds since 1970."""
        runs_ms = now_ms + round(self.start_seconds * 1000)
        return runs_ms, None if self.end_seconds is None else runs_ms + round(self.end_seconds * 1000)


ENVIRONMENT_VARIABLES: Final[Mapping[str, str]] = {
    name: mark.name
    for name, field in EmulatorSettings.model_fields.items()
    for mark in field.metadata
    if isinstance(mark, EnvironmentVariable)
}
"""The variable of each setting that comes from the environment."""
OFF_OPTIONS: Final[Mapping[str, OffOption]] = {
    name: mark
    for name, field in EmulatorSettings.model_fields.items()
    for mark in field.metadata
    if isinstance(mark, OffOption)
}
"""The option of each setting that is on by default."""


class ChangeableSettingsArguments(TypedDict, total=False):
    """The fields of `ChangeableSettings` as keyword arguments, for type checkers; a test compares the two."""

    rooms: RoomPolicy
    dedup: Dedup
    max_rps: int | None
    retry_after: bool
    start_seconds: float
    end_seconds: float | None
    tasks_end_with_room: bool


class EmulatorSettingsArguments(ChangeableSettingsArguments, total=False):
    """The fields of `EmulatorSettings` as keyword arguments, for type checkers; a test compares the two."""

    allow_unknown_fields: bool
    room_missing_code: int
    task_missing_code: int
    app_key: str
    app_secret: str
    accounts: Mapping[str, str] | None
