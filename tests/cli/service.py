"""An emulator, a journal, and an environment in which a command finds both."""

from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from rtcai_pulumi.cli.app import app
from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.location import parse_location
from rtcai_pulumi.journal.record import Record
from tests.cli.journals import BACKEND, note, start_agent
from tests.engine.service import live


class Service:
    """The service, journal and environment for commands about one agent."""

    def __init__(self, emulator: Emulator, folder: Path, database: str | None = None) -> None:
        self.emulator = emulator
        self.journal = folder / "journal.db"
        """The journal, unless it is in a database."""
        self.location = parse_location(database or str(self.journal))
        self.environment: dict[str, str | None] = {
            "PULUMI_BACKEND_URL": BACKEND,
            "RTCAI_JOURNAL": database or str(self.journal),
            "RTCAI_APP_KEY": emulator.app_key,
            "RTCAI_APP_SECRET": emulator.app_secret,
            "RTCAI_ENDPOINT": emulator.url,
        }

    def leave_agent(self, cname: str = "keynote", **how: Any) -> str:
        """An agent that the journal knows."""
        task = start_agent(self.emulator, cname)
        with Journal(self.location) as journal:
            note(journal, task, cname=cname, url=self.emulator.url, **how)
        return task

    def lose_create(self, **how: Any) -> str:
        """The trace id of a create that was never answered."""
        with Journal(self.location) as journal:
            return note(journal, None, url=self.emulator.url, **how).trace_id

    def run(self, *arguments: str, **environment: str | None) -> Result:
        run = CliRunner().invoke(app, [*arguments], env={**self.environment, **environment})
        assert self.emulator.app_secret not in run.output
        assert "Traceback" not in run.output
        return run

    @property
    def rooms(self) -> list[str]:
        return sorted(task["cname"] for task in live(self.emulator))

    @property
    def records(self) -> list[Record]:
        with Journal(self.location) as journal:
            return journal.records()
