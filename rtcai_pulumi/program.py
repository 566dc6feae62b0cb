"""What a program is told while it declares its rooms: what no single resource, and no single `check`, can see.

The engine calls `check` for one resource after the other and stops at the first that fails, so that a program with
mistakes in several rooms would show them room by room. And it knows nothing of rooms, so that two agents in one would
pass unseen.
"""

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pulumi
import pulumi.runtime
import yaml  # Pulumi itself depends on it
from pulumi.runtime.config import get_config

from rtcai_pulumi.config.problems import Problem
from rtcai_pulumi.config.unknown import UNKNOWN
from rtcai_pulumi.lifecycle.check import check
from rtcai_pulumi.lifecycle.owner import owner, owner_prefix
from rtcai_pulumi.service.settings import HOW_TO_SET, missing_credentials


class InvalidProgram(pulumi.RunError):
    """Conversations of the program have problems; each was reported as an error of its own before this one."""


@dataclass(slots=True)
class _Run:
    """What the conversations of one run have in common."""

    conversations: dict[str, str] = field(default_factory=dict)
    """The first conversation of each room."""
    problems: dict[str, list[Problem]] = field(default_factory=dict)
    """What is wrong with the plain values of each conversation."""
    reported: bool = False


# By the stack of the run: the Automation API runs many programs in one process.
_runs: WeakKeyDictionary[pulumi.Resource, _Run] = WeakKeyDictionary()


def declare(name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Take note of a conversation before it is registered.

    Args:
        name: the resource's name.
        inputs: flat inputs by the names of the wire, with outputs among them.

    Returns:
        The inputs, held back until the program has declared everything that it declares at once: only then does
        anyone know all problems, and where there is one, nothing is registered.
    """
    run = _this_run()
    if problems := check(_plain_part(inputs)):
        run.problems[name] = problems

    async def all_declared() -> None:
        _report(run)

    pulumi.Output.from_input(inputs["cname"]).apply(lambda room: _warn_of_shared_room(run, room, name))
    cname = pulumi.Output.all(inputs["cname"], all_declared()).apply(lambda values: values[0])
    return {**inputs, "cname": cname}


def owner_of(type_: str, name: str, opts: pulumi.ResourceOptions | None) -> pulumi.Output[str]:
    """Whom a task is started for: the resource's URN with its parents, and a digest of the backend.

    A dynamic provider is told neither URN nor stack, so that the resource must say it.
    """
    prefix = owner_prefix(os.environ, _project_backend())
    urn = pulumi.create_urn(name, type_, opts.parent if opts else None)
    return urn.apply(lambda known: owner(prefix, known))


def _project_backend() -> str | None:
    """The backend that the project file names, where it does."""
    if os.environ.get("PULUMI_BACKEND_URL"):
        return None
    for ending in ("yaml", "yml", "json"):
        file = Path(pulumi.get_root_directory()) / f"Pulumi.{ending}"
        if file.is_file():
            project: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
            backend = project.get("backend") if isinstance(project, dict) else None
            url = backend.get("url") if isinstance(backend, dict) else None
            return url if isinstance(url, str) else None
    return None


def _this_run() -> _Run:
    stack = pulumi.runtime.get_root_resource()
    run = _runs.get(stack) if stack else None
    if run is None:
        run = _Run()
        if stack is not None:
            _runs[stack] = run
        if pulumi.runtime.is_dry_run():
            _warn_of_missing_credentials()
    return run


def _plain_part(value: Any) -> Any:
    """A value with its outputs as unknowns: nobody may wait for one before everything is declared."""
    if isinstance(value, pulumi.Output) or inspect.isawaitable(value):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {key: _plain_part(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain_part(item) for item in value]
    return value


def _report(run: _Run) -> None:
    if not run.problems:
        return
    if not run.reported:
        run.reported = True
        for name, problems in run.problems.items():
            for problem in problems:
                pulumi.log.error(f"RealtimeConversation {name!r} has a problem: {problem}")
    count = sum(map(len, run.problems.values()))
    message = f"{count} problem{'s' * (count > 1)} in the conversations of this program; nothing was started or changed"
    raise InvalidProgram(message)


def _warn_of_shared_room(run: _Run, room: str, name: str) -> None:
    first = run.conversations.setdefault(room, name)
    if first != name:
        pulumi.log.warn(
            f"conversations {first!r} and {name!r} share the room {room!r}: their agents will talk to each other; "
            "give each a room of its own, or let one go"
        )


def _warn_of_missing_credentials() -> None:
    missing = missing_credentials(os.environ, get_config)
    if missing:
        names = " and ".join(missing)
        pulumi.log.warn(f"no credentials for RTC AI ({names}): this preview works without, up will fail; {HOW_TO_SET}")
