"""What an emulator is started with."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

PLACEHOLDER_APP_KEY: Final = "emulator-app-key"
PLACEHOLDER_APP_SECRET: Final = "emulator-app-secret"  # noqa: S105  a placeholder, documented, good for this machine only


class Rooms(StrEnum):
    """What a create does in a room that does not exist."""

    AUTO = "auto"
    """It opens the room, as if someone had joined just before."""
    REQUIRED = "required"
    """It is refused: somebody has to open the room first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is fixed for the life of one emulator."""

    app_key: str = PLACEHOLDER_APP_KEY
    app_secret: str = PLACEHOLDER_APP_SECRET
    rooms: Rooms = Rooms.AUTO
    allow_unknown_fields: bool = False
    """Let fields pass that the API page does not list; everything else stays strict."""
    room_missing_code: int = 404
    """``code`` of "room does not exist". The real number is not documented."""
    task_missing_code: int = 404
    """``code`` of "no such task". The real number is not documented."""

    @property
    def secrets(self) -> Mapping[str, str]:
        """The AppSecret of each known AppKey."""
        return {self.app_key: self.app_secret}


def settings_from(environment: Mapping[str, str], **stated: Any) -> Settings:
    """Settings as stated, with the credentials of the environment; empty variables count as not set."""
    return Settings(
        app_key=environment.get("RTCAI_EMULATOR_APP_KEY") or PLACEHOLDER_APP_KEY,
        app_secret=environment.get("RTCAI_EMULATOR_APP_SECRET") or PLACEHOLDER_APP_SECRET,
        **stated,
    )
