"""Pulumi's options of our resources: what the engine is given, what the provider must know, and what cannot be.

The engine tells a provider nothing of a resource's options, and drops some resources without calling it. So the
program, which knows them, states those that matter as a hidden input (`config.conversation.OPTION_NAMES`), says which
ones a dynamic provider cannot honour, and replaces ``deleted_with`` by what has the agent stopped.

A resource inherits options from its parent in the engine, and transforms may change them there. Where that is possible,
a transform of our own looks at what has come of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pulumi
from pulumi import ResourceOptions, ResourceTransformArgs, ResourceTransformResult
from pulumi.runtime import get_root_resource, settings

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.conversation import HIDDEN
from rtcai_pulumi.config.paths import ALL, parts_of, wire_path

ROOM_TYPE: Final = "pulumi-python:dynamic/rtcai:Room"
CONVERSATION_TYPE: Final = "pulumi-python:dynamic/rtcai:RealtimeConversation"

_PATHS: Final = ("ignore_changes", "additional_secret_outputs", "replace_on_changes", "hide_diffs")
_CANNOT: Final = {
    "provider": "a dynamic resource has no provider to choose; leave the option out",
    "version": "a dynamic resource comes with the program's package; leave the option out and pin rtcai-pulumi instead",
    "plugin_download_url": "a dynamic resource comes with the program's package; leave the option out",
    "env_var_mappings": "only a provider resource takes it; set the variables of RTC AI themselves",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What there is to know of a resource class."""

    type_: str
    """Its type token."""
    inputs: type[Block]
    outputs: Mapping[str, str]
    """What it has besides its inputs: the names in state, each with its name in Python."""
    how_to_take: str
    """How a running one comes under the stack's management, in place of an import."""

    @property
    def ends_with_a_room(self) -> bool:
        """Whether it may be dropped from the state where a room is: once it has been stopped."""
        return self.type_ == CONVERSATION_TYPE


class WireName(str):
    """A key of a resource's inputs that is by the names of the wire already, or the user's own."""

    __slots__ = ()


def wire_name(path: str, kind: Kind) -> str:
    """The path of a property by the names of the wire; what is none is left as it is."""
    try:
        return wire_path(path, kind.inputs, kind.outputs)
    except ValueError:
        return path


@dataclass(slots=True)
class Understood:
    """A resource's options, read."""

    opts: ResourceOptions
    """What the SDK is given."""
    hidden: dict[str, Any] = field(default_factory=dict)
    """What the provider must know, as the hidden input ``options``."""
    problems: list[str] = field(default_factory=list)
    """What cannot be, as ``option: reason``."""
    may_change: bool = False
    """Whether a parent, or transforms, may still change them: then the engine is asked what has come of them."""


def understand(opts: ResourceOptions | None, kind: Kind) -> Understood:
    """Read the options that a program states for a resource of ours.

    Args:
        opts: as they are stated; never changed.
        kind: the resource's class.
    """
    found = Understood(ResourceOptions.merge(opts, None))
    opts = opts or ResourceOptions()
    for option in _PATHS:
        if paths := getattr(opts, option):
            setattr(found.opts, option, _translated(option, paths, kind, found.problems))
    found.problems += [f"{name}: {why}" for name, why in _CANNOT.items() if getattr(opts, name) is not None]
    if opts.import_ is not None or opts.id is not None:
        name = "import_" if opts.import_ is not None else "id"
        found.problems.append(f"{name}: it cannot be read from the service by an id; {kind.how_to_take}")
    if opts.deleted_with is not None:
        _understand_deleted_with(opts.deleted_with, kind, found)
    if kind.ends_with_a_room:
        found.hidden |= _order_and_retention(opts)
    if found.opts.replace_on_changes:
        found.hidden["replaceOnChanges"] = list(found.opts.replace_on_changes)
    found.may_change = opts.parent is not None or bool(opts.transforms or _transformations(opts))
    return found


def _transformations(opts: ResourceOptions) -> list[Any]:
    """The functions by which the SDK will change the options that were stated; inherited ones too."""
    above = opts.parent if opts.parent is not None else get_root_resource()
    return [*(opts.transformations or []), *(getattr(above, "_transformations", None) or [])]


def _translated(option: str, paths: Iterable[str], kind: Kind, problems: list[str]) -> list[str]:
    """Paths by the names of the wire, as each option needs them; what is none is added to the problems."""
    found: dict[str, None] = {}
    for path in paths:
        try:
            wire = wire_path(path, kind.inputs, kind.outputs)
        except ValueError as error:
            problems.append(f"{option}: {error}")
            continue
        if option == "ignore_changes" and wire == ALL:
            # Not the hidden inputs: the provider would never learn of another name, or of other options.
            found |= dict.fromkeys(name for name in (*kind.inputs.wire_names(), "extra") if name not in HIDDEN)
        elif option == "additional_secret_outputs":
            found[str((parts_of(wire) or [wire])[0])] = None  # the engine knows properties at the top alone
        else:
            found[wire] = None
    return list(found)


def _order_and_retention(opts: ResourceOptions) -> dict[str, Any]:
    hidden: dict[str, Any] = {}
    if opts.retain_on_delete:
        hidden["retainOnDelete"] = True
    if opts.delete_before_replace is not None:
        hidden["deleteBeforeReplace"] = opts.delete_before_replace
    return hidden


def _understand_deleted_with(other: pulumi.Resource, kind: Kind, found: Understood) -> None:
    """Have the agent stopped before its room is ended: with the option itself, the engine would only forget it."""
    if kind.ends_with_a_room and other.pulumi_resource_type == ROOM_TYPE:
        _stop_before(other, found.opts)
    else:
        found.problems.append(f"deleted_with: {_DELETED_WITH}")


_DELETED_WITH: Final = (
    "only a conversation may state it, and only a Room of rtcai_pulumi may be named: with another resource the engine "
    "would drop this one without stopping it; use depends_on, which has it stopped before that resource is deleted"
)


def _stop_before(room: pulumi.Resource, opts: ResourceOptions) -> None:
    """Replace ``deleted_with``: deleted before the room, and replaced with it."""
    opts.deleted_with = None
    depends_on: Any = opts.depends_on
    if depends_on is None:
        opts.depends_on = [room]
    elif isinstance(depends_on, list | tuple):
        opts.depends_on = [*depends_on, room]
    elif isinstance(depends_on, pulumi.Resource):
        opts.depends_on = [depends_on, room]
    else:
        opts.depends_on = pulumi.Output.from_input(depends_on).apply(
            lambda known: [*(known if isinstance(known, list) else [known]), room]
        )
    opts.replace_with = [*(opts.replace_with or []), room]


_kinds: Final[dict[str, Kind]] = {}


def register(kind: Kind) -> Kind:
    """Make a resource class known to `watch_transforms`."""
    _kinds[kind.type_] = kind
    return kind


async def watch_transforms(*, wanted: bool) -> None:
    """Have a transform of our own after all others, which sees what has come of the options.

    The engine runs a resource's own transforms first, then its parents', then the stack's: so ours is one of the
    stack's. The SDK offers that only to a program that is not yet running; its own means are used here.

    Args:
        wanted: whether it is needed whatever the program has registered until now.
    """
    if not wanted and not any(map(_transforms_of, _callback_servers())):
        return
    callbacks: Any = await settings._get_callbacks()
    if callbacks is not None and _stack_transform not in _transforms_of(callbacks):
        callbacks.register_stack_transform(_stack_transform)


def _callback_servers() -> list[Any]:
    from pulumi.runtime import _callbacks  # noqa: PLC0415  a private module, which may move

    return list(getattr(_callbacks._CallbackServicer, "_servicers", []))


def _transforms_of(callbacks: Any) -> Mapping[Any, str]:
    found: Mapping[Any, str] = getattr(callbacks, "_transforms", {})
    return found


async def _stack_transform(args: ResourceTransformArgs) -> ResourceTransformResult | None:
    kind = _kinds.get(args.type_)
    return await _effective(args, kind) if kind else None


async def _effective(args: ResourceTransformArgs, kind: Kind) -> ResourceTransformResult | None:
    """What the provider must know of options that were inherited, or changed by a transform; None: nothing new."""
    opts, props = args.opts, dict(args.props)
    stated: Any = props.get("options") or {}
    problems: list[str] = []
    changed = False
    for option in _PATHS:
        paths = list(getattr(opts, option, None) or [])
        wire = _translated(option, paths, kind, problems)
        if wire != paths:
            setattr(opts, option, wire)
            changed = True
    hidden = {name: value for name, value in stated.items() if name not in _EFFECTIVE}
    if kind.ends_with_a_room:
        hidden |= _order_and_retention(opts)
    if opts.replace_on_changes:
        hidden["replaceOnChanges"] = list(opts.replace_on_changes)
    if opts.import_:
        hidden["import"] = opts.import_
    if problems:
        hidden["problems"] = problems
    if opts.deleted_with is not None:
        if kind.ends_with_a_room and await _is_room(opts.deleted_with):
            _stop_before(opts.deleted_with, opts)
            changed = True
        else:
            hidden["deletedWith"] = True
    if hidden == stated and not changed:
        return None
    if hidden:
        props["options"] = hidden
    else:
        props.pop("options", None)
    return ResourceTransformResult(props, opts if changed else None)  # type: ignore[arg-type]  # None keeps the options


_EFFECTIVE: Final = ("retainOnDelete", "deleteBeforeReplace", "replaceOnChanges")
"""Hidden options that the engine shows a transform anew; what it shows counts."""


async def _is_room(resource: pulumi.Resource) -> bool:
    """Whether a resource is a room, by the URN, which is all that a transform is shown of it."""
    parts = str(await resource.urn.future()).split("::")
    return len(parts) > 3 and parts[2].rpartition("$")[2] == ROOM_TYPE
