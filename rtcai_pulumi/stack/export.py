"""Reads the JSON of `pulumi stack export`: the name of the stack, and its tasks."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.config.canonical import DesiredAgent
from rtcai_pulumi.config.end_time import ends_at_of
from rtcai_pulumi.config.rules import PULUMI_KEY
from rtcai_pulumi.config.values import walk
from rtcai_pulumi.stack import UnreadableExport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONVERSATION: Final = "pulumi-python:dynamic/rtcai:RealtimeConversation"
STDIN: Final = "-"
_HOW: Final = "create it with `pulumi stack export --file FILE`"


@dataclass(frozen=True, slots=True)
class StackId:
    """A stack, as named in the URNs of its resources."""

    project: str
    stack: str

    def __str__(self) -> str:
        return f"{self.project}/{self.stack}"


@dataclass(frozen=True, slots=True)
class StoredAgent:
    """A conversation in a state, also if it is pending deletion: the engine will delete it."""

    urn: str
    task: str
    cname: str | None
    """None if it is a secret."""
    stopped: bool = False
    """Whether the engine has already deleted it, and keeps it only until its replacement exists."""
    ends_at: str = ""
    """When the agent is to end: ISO 8601, UTC; empty if it has no end."""


@dataclass(frozen=True, slots=True)
class PendingCreate:
    """A conversation whose create was in progress; no task was returned to the engine."""

    urn: str
    cname: str | None
    """None if it is a secret."""
    digest: str | None
    """Digest of the requested configuration, as in the journal; None if part of the configuration is ciphertext."""


@dataclass(frozen=True, slots=True)
class StackExport:
    """The state of one stack."""

    id: StackId
    conversations: tuple[StoredAgent, ...]
    pending_operations: tuple[str, ...]
    """URNs of the operations that were in progress when the state was last written: a run was killed, or has not
    ended.
    """
    made_at: datetime
    """The latest time at which the export was made; later entries of the journal may be missing from it."""
    pending_creates: tuple[PendingCreate, ...] = ()
    changed_at: datetime | None = None
    """When the newest of its resources was created or modified."""

    @property
    def tasks(self) -> frozenset[str]:
        """The tasks in the state, as ``{cid}/{taskId}``."""
        return frozenset(stored.task for stored in self.conversations)


def stack_of(urn: str) -> StackId | None:
    """Return the stack of a URN; None if it is not a Pulumi URN."""
    first, _, rest = urn.partition("::")
    project, separator, _ = rest.partition("::")
    kind, stack = first[: len("urn:pulumi:")], first[len("urn:pulumi:") :]
    return StackId(project, stack) if kind == "urn:pulumi:" and stack and project and separator else None


def name_of(urn: str) -> str:
    """Return the resource's name in the program."""
    return urn.rpartition("::")[2]


def read_export(source: str, began: datetime, *, stack: str | None = None, project: str | None = None) -> StackExport:
    """Read the JSON of `pulumi stack export`.

    Args:
        source: a file, or ``-`` for the standard input.
        began: when the command started to read; the export was made then or earlier, as the time of the file shows.
        stack: the stack's name, which an empty state does not contain.
        project: the project's name, which an empty state does not contain.

    Raises:
        UnreadableExport: the content is not an export, or does not show which stack it belongs to.
    """
    return parse_export(_text(source), _made_at(source, began), source, stack=stack, project=project)


def parse_export(
    text: str, made_at: datetime, source: str, *, stack: str | None = None, project: str | None = None
) -> StackExport:
    """Parse the JSON of `pulumi stack export`.

    Args:
        text: the JSON.
        made_at: the latest time at which the export was made.
        source: where the text comes from, for messages.
        stack: the stack's name, which an empty state does not contain.
        project: the project's name, which an empty state does not contain.

    Raises:
        UnreadableExport: the content is not an export, or does not show which stack it belongs to.
    """
    content = _content(text, source)
    return StackExport(
        _id(source, content.stacks, stack, project),
        content.conversations,
        content.pending_operations,
        made_at,
        content.pending_creates,
        content.changed_at,
    )


def tasks_of(sources: Iterable[str]) -> frozenset[str]:
    """Return the tasks in the states of other stacks.

    Raises:
        UnreadableExport: one of the files is not an export.
    """
    return frozenset(stored.task for source in sources for stored in _content(_text(source), source).conversations)


@dataclass(frozen=True, slots=True)
class _Content:
    stacks: frozenset[StackId]
    conversations: tuple[StoredAgent, ...]
    pending_operations: tuple[str, ...]
    pending_creates: tuple[PendingCreate, ...]
    changed_at: datetime | None


def _content(text: str, source: str) -> _Content:
    deployment = _deployment(source, text)
    pending = _objects(source, deployment, "pending_operations")
    operations = [_resource_of(source, each) for each in pending]
    # A resource whose deletion was in progress belongs to the engine, too.
    kept = _objects(source, deployment, "resources")
    resources = [*kept, *operations]
    stacks = frozenset(_stack_of(source, resource) for resource in resources)
    created = [resource for each, resource in zip(pending, operations, strict=True) if each.get("type") == "creating"]
    creates = tuple(_read_pending_create(resource) for resource in created if resource.get("type") == CONVERSATION)
    stored = {resource["id"]: _read_agent(resource) for resource in resources if _is_started_conversation(resource)}
    times = [time for resource in kept for time in _times(source, resource)]
    urns = tuple(each["urn"] for each in operations)
    return _Content(stacks, tuple(stored.values()), urns, creates, max(times, default=None))


def _made_at(source: str, began: datetime) -> datetime:
    if source == STDIN:
        return began
    try:
        return min(began, datetime.fromtimestamp(Path(source).stat().st_mtime, UTC))
    except OSError as error:
        raise _unreadable(source, error.strerror or str(error)) from None


def _text(source: str) -> str:
    try:
        content = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(source, error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise _unreadable(source, "it is not valid UTF-8") from None


def _deployment(source: str, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise _unreadable(source, "it is not valid JSON") from None
    deployment = content.get("deployment") if isinstance(content, dict) else None
    if not isinstance(deployment, dict):
        raise _unreadable(source, 'it has no "deployment"')
    return deployment


def _objects(source: str, deployment: dict[str, Any], key: str) -> list[dict[str, Any]]:
    objects = deployment.get(key)
    if objects is None:  # an empty state has none of these keys
        return []
    if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
        raise _unreadable(source, f'"{key}" does not have the form that Pulumi writes')
    return objects


def _resource_of(source: str, operation: dict[str, Any]) -> dict[str, Any]:
    resource = operation.get("resource")
    if not isinstance(resource, dict):
        raise _unreadable(source, '"pending_operations" does not have the form that Pulumi writes')
    return resource


def _stack_of(source: str, resource: dict[str, Any]) -> StackId:
    urn = resource.get("urn")
    stack = stack_of(urn) if isinstance(urn, str) else None
    if stack is None:
        raise _unreadable(source, "it has a resource without a URN")
    return stack


def _is_started_conversation(resource: dict[str, Any]) -> bool:
    return resource.get("type") == CONVERSATION and isinstance(resource.get("id"), str) and bool(resource["id"])


def _read_agent(resource: dict[str, Any]) -> StoredAgent:
    # A resource that is being created has inputs, but no id.
    properties = resource.get("outputs") or resource.get("inputs")
    cname = properties.get("cname") if isinstance(properties, dict) else None
    cname = cname if isinstance(cname, str) else None
    stopped = resource.get("pendingReplacement") is True
    ends_at = ends_at_of(properties) if isinstance(properties, dict) else ""
    return StoredAgent(resource["urn"], str(resource.get("id") or ""), cname, stopped, ends_at)


def _read_pending_create(resource: dict[str, Any]) -> PendingCreate:
    inputs = resource.get("inputs")
    known = {name: value for name, value in inputs.items() if name != "__provider"} if isinstance(inputs, dict) else {}
    digest = None if not known or _is_sealed(known) else DesiredAgent(known).digest
    return PendingCreate(resource["urn"], _read_agent(resource).cname, digest)


def _is_sealed(value: Any) -> bool:
    """Whether a value contains ciphertext, at any depth."""
    return any(isinstance(item, dict) and PULUMI_KEY in item for _, item in walk(value))


def _times(source: str, resource: dict[str, Any]) -> Iterator[datetime]:
    for key in ("created", "modified"):
        if (time := resource.get(key)) is not None:
            try:
                yield datetime.fromisoformat(time).astimezone(UTC)
            except (TypeError, ValueError):
                raise _unreadable(source, f'"{key}" of a resource is not a time') from None


def _id(source: str, stacks: frozenset[StackId], stack: str | None, project: str | None) -> StackId:
    """Return the stack from the URNs, or from the options if the state is empty; the two must not contradict each
    other.
    """
    if not stacks and stack and project:
        return StackId(project, stack)
    if not stacks:
        reason = "its state is empty and does not name its stack: add --stack-name and --project-name"
        raise _unreadable(source, reason, how="")
    if len(stacks) > 1:
        raise _unreadable(source, f"it has resources of several stacks: {', '.join(sorted(map(str, stacks)))}")
    (id_,) = stacks
    if (stack or id_.stack, project or id_.project) != (id_.stack, id_.project):
        expected = StackId(project or id_.project, stack or id_.stack)
        how = f"use the export of {expected}, or correct --stack-name and --project-name"
        raise _unreadable(source, f"it is the export of the stack {id_}, not of {expected}", how)
    return id_


def _unreadable(source: str, reason: str, how: str = _HOW) -> UnreadableExport:
    name = "standard input" if source == STDIN else source
    to_do = f"\n  to do: {how}" if how else ""
    return UnreadableExport(f"The stack's export ({name}) cannot be used: {reason}.{to_do}")
