"""The settings of an emulator, and which of them can be changed while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import Field

from rtcai_pulumi.emulator.errors import CannotStart
from rtcai_pulumi.emulator.strict_model import StrictModel

MAX_SECONDS: Final = 1e7
"""The longest time that a task may take to start or to end: about four months."""
PLACEHOLDER_APP_KEY: Final = "emulator-app-key"
PLACEHOLDER_APP_SECRET: Final = "emulator-app-secret"  # noqa: S105  a placeholder, documented, good for this machine only


class RoomPolicy(StrEnum):
    """What a create does in a room that does not exist."""

    AUTO = "auto"
    """The room is opened, as if a user had joined just before."""
    REQUIRED = "required"
    """The create is refused: the room has to be opened first."""


class Dedup(StrEnum):
    """The answer to a create whose ``X-custom-traceid`` was used before."""

    IGNORE = "ignore"
    """The usual answer: the id has no effect."""
    REPLAY = "replay"
    """The answer of the first create with this id; no second task is started."""
    REFUSE = "refuse"
    """A refusal with code 431."""


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """The behaviour of one emulator. The fields of `SettingsChange` can be changed while it runs."""

    app_key: str = PLACEHOLDER_APP_KEY
    app_secret: str = PLACEHOLDER_APP_SECRET
    rooms: RoomPolicy = RoomPolicy.AUTO
    allow_unknown_fields: bool = False
    """Accept fields that the API page does not list; everything else stays strict."""
    room_missing_code: int = 404
    """``code`` of "room does not exist". The real number is not documented."""
    task_missing_code: int = 404
    """``code`` of "no such task". The real number is not documented."""
    dedup: Dedup = Dedup.IGNORE
    max_rps: int | None = None
    """Requests a second for each group of operations; None: no limit."""
    retry_after: bool = False
    """Whether the answer to a request above the limit has the header ``Retry-After``."""
    start_seconds: float = 0.0
    """Seconds that a task takes to start; until then its agent is not in the room."""
    end_seconds: float | None = None
    """Seconds after its start at which a task ends by itself; None: never."""
    tasks_end_with_room: bool = True
    """Whether the end of a room ends the tasks in it."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """The AppSecret of each additional AppKey."""

    @property
    def secrets(self) -> Mapping[str, str]:
        """The AppSecret of each known AppKey."""
        return {**self.accounts, self.app_key: self.app_secret}

    def times_of_task(self, now_ms: int) -> tuple[int, int | None]:
        """Return when a task that is created now starts to run, and when it ends by itself; milliseconds since 1970."""
        runs_ms = now_ms + round(self.start_seconds * 1000)
        return runs_ms, None if self.end_seconds is None else runs_ms + round(self.end_seconds * 1000)


class SettingsChange(StrictModel):
    """The settings that can be changed while an emulator runs; omitted ones stay as they are."""

    rooms: Annotated[RoomPolicy, Field(strict=False)] = RoomPolicy.AUTO
    dedup: Annotated[Dedup, Field(strict=False)] = Dedup.IGNORE
    max_rps: Annotated[int, Field(ge=1)] | None = Field(None, alias="maxRps")
    retry_after: bool = Field(default=False, alias="retryAfter")
    start_seconds: Annotated[float, Field(ge=0, le=MAX_SECONDS)] = Field(0.0, alias="startSeconds")
    end_seconds: Annotated[float, Field(ge=0, le=MAX_SECONDS)] | None = Field(None, alias="endSeconds")
    tasks_end_with_room: bool = Field(default=True, alias="tasksEndWithRoom")

    def apply_to(self, settings: EmulatorSettings) -> EmulatorSettings:
        """Return the settings with these changes."""
        return replace(settings, **{name: getattr(self, name) for name in self.model_fields_set})

    @classmethod
    def of(cls, settings: EmulatorSettings) -> Self:
        """Return the current values of the settings that can be changed."""
        return cls.model_validate({name: getattr(settings, name) for name in cls.model_fields}, by_name=True)


def settings_from(environment: Mapping[str, str], **stated: Any) -> EmulatorSettings:
    """Build the settings from the given values and the credentials in the environment; empty variables count as not
    set.

    Raises:
        CannotStart: the list of accounts in the environment is not valid.
    """
    return EmulatorSettings(
        accounts=_accounts(environment.get("RTCAI_EMULATOR_ACCOUNTS", "")),
        app_key=environment.get("RTCAI_EMULATOR_APP_KEY") or PLACEHOLDER_APP_KEY,
        app_secret=environment.get("RTCAI_EMULATOR_APP_SECRET") or PLACEHOLDER_APP_SECRET,
        **stated,
    )


def _accounts(stated: str) -> dict[str, str]:
    """Parse AppKeys and AppSecrets from ``key=secret key2=secret2``."""
    pairs = [pair.partition("=") for pair in stated.split()]
    if not all(key and secret for key, _, secret in pairs):
        # The message does not repeat the value: part of it may be a secret.
        message = "RTCAI_EMULATOR_ACCOUNTS must be AppKeys with their AppSecrets, as in: key=secret key2=secret2"
        raise CannotStart(message)
    return {key: secret for key, _, secret in pairs}
