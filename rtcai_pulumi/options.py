"""The Pulumi options of our resources: what the engine gets, what the provider needs, and what is not supported.

The engine does not pass a resource's options to a provider, and drops some resources without calling it. So the
program, which has the options, passes those that matter as a hidden input (`config.conversation.options_of`). It
reports options that a dynamic provider cannot support, and replaces ``deleted_with`` by options that stop the agent.

In the engine, a resource inherits options from its parent, and transforms may change them. If that is possible, a
transform of our own reads the resulting options.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from weakref import WeakSet

import pulumi
from pulumi import ResourceOptions, ResourceTransformArgs, ResourceTransformResult
from pulumi.runtime import get_root_resource, settings

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.conversation import HIDDEN
from rtcai_pulumi.config.paths import ALL, split_path, to_wire_path
from rtcai_pulumi.config.rules import ONLY_A_ROOM

ROOM_TYPE: Final = "pulumi-python:dynamic/rtcai:Room"
CONVERSATION_TYPE: Final = "pulumi-python:dynamic/rtcai:RealtimeConversation"

_PATHS: Final = ("ignore_changes", "additional_secret_outputs", "replace_on_changes", "hide_diffs")
_OWN_PACKAGE: Final = "not supported: a dynamic resource always uses the program's own rtcai-pulumi package"
_UNSUPPORTED: Final = {
    "provider": f"{_OWN_PACKAGE}; remove the option",
    "version": f"{_OWN_PACKAGE}; remove the option, and pin rtcai-pulumi in the program's requirements",
    "plugin_download_url": f"{_OWN_PACKAGE}; remove the option",
    "env_var_mappings": "not supported: only a provider resource has it; set the environment variables directly",
}


@dataclass(frozen=True, slots=True, eq=False)
class ResourceKind:
    """What the functions of this module need to know about a resource class."""

    type_: str
    """Its type token."""
    inputs: type[Block]
    outputs: Mapping[str, str]
    """The properties in addition to its inputs: the names in state, each with its name in Python."""
    how_to_adopt: str
    """Why an existing agent or room cannot be imported, and how to adopt it."""

    @property
    def ends_with_a_room(self) -> bool:
        """Whether it may be dropped from the state together with its room, after it has been stopped."""
        return self.type_ == CONVERSATION_TYPE


class WireName(str):
    """A key of a resource's inputs that is a name in the request already, or was chosen by the user."""

    __slots__ = ()


@lru_cache(maxsize=1024)
def wire_name(path: str, kind: ResourceKind) -> str:
    """The path of a property with the names in the request; a path that is not valid is returned unchanged."""
    try:
        return to_wire_path(path, kind.inputs, kind.outputs)
    except ValueError:
        return path


@dataclass(slots=True)
class ResolvedOptions:
    """A resource's options, after reading them."""

    opts: ResourceOptions
    """The options for the SDK."""
    hidden: dict[str, Any] = field(default_factory=dict)
    """What the provider needs, as the hidden input ``options``."""
    problems: list[str] = field(default_factory=list)
    """Options that are not supported, as ``option: reason``."""
    may_change: bool = False
    """Whether a parent or transforms may still change the options: then a transform reads the result."""


def resolve_options(opts: ResourceOptions | None, kind: ResourceKind) -> ResolvedOptions:
    """Read the options that a program gives to a resource of this package.

    Args:
        opts: the options as given; never changed.
        kind: the resource's class.
    """
    resolved = ResolvedOptions(ResourceOptions.merge(opts, None))
    opts = opts or ResourceOptions()
    for option in _PATHS:
        if paths := getattr(opts, option):
            setattr(resolved.opts, option, _translate_paths(option, paths, kind, resolved.problems))
    resolved.problems += [f"{name}: {why}" for name, why in _UNSUPPORTED.items() if getattr(opts, name) is not None]
    if opts.import_ is not None or opts.id is not None:
        name = "import_" if opts.import_ is not None else "id"
        resolved.problems.append(f"{name}: {kind.how_to_adopt}")
    if opts.deleted_with is not None:
        _resolve_deleted_with(opts.deleted_with, kind, resolved)
    if kind.ends_with_a_room:
        resolved.hidden |= _read_order_and_retention(opts)
    resolved.hidden |= _read_error_hook(opts)
    if resolved.opts.replace_on_changes:
        resolved.hidden["replaceOnChanges"] = list(resolved.opts.replace_on_changes)
    inherits = opts.parent is not None and opts.parent not in _without_inherited
    resolved.may_change = inherits or bool(opts.transforms or _transformations(opts))
    return resolved


_without_inherited: Final[WeakSet[pulumi.Resource]] = WeakSet()
"""Components whose children inherit no option."""


def note_component(component: pulumi.Resource, opts: ResourceOptions | None) -> None:
    """Note a component of this package: if it has no options that its children inherit, theirs need not be read again.

    The engine calls a transform for each child, and each call takes time.

    Args:
        component: the component, before its children are declared.
        opts: its options as the program gives them.
    """
    given = {name for name, value in vars(opts).items() if value is not None} if opts else set()
    if given <= {"depends_on"}:
        _without_inherited.add(component)


def _transformations(opts: ResourceOptions) -> list[Any]:
    """The functions with which the SDK will change the given options; inherited functions too."""
    above = opts.parent if opts.parent is not None else get_root_resource()
    return [*(opts.transformations or []), *(getattr(above, "_transformations", None) or [])]


def _translate_paths(option: str, paths: Iterable[str], kind: ResourceKind, problems: list[str]) -> list[str]:
    """Paths with the names in the request, in the form that each option needs; adds invalid paths to `problems`."""
    translated: dict[str, None] = {}
    for path in paths:
        try:
            wire = to_wire_path(path, kind.inputs, kind.outputs)
        except ValueError as error:
            problems.append(f"{option}: {error}")
            continue
        if option == "ignore_changes" and wire == ALL:
            # Not the hidden inputs: the provider would never receive a new name or changed options.
            translated |= dict.fromkeys(name for name in (*kind.inputs.wire_names(), "extra") if name not in HIDDEN)
        elif option == "additional_secret_outputs":
            # The engine supports only top-level properties here.
            translated[str((split_path(wire) or [wire])[0])] = None
        else:
            translated[wire] = None
    return list(translated)


def _read_order_and_retention(opts: ResourceOptions) -> dict[str, Any]:
    hidden: dict[str, Any] = {}
    if opts.retain_on_delete:
        hidden["retainOnDelete"] = True
    if opts.delete_before_replace is not None:
        hidden["deleteBeforeReplace"] = opts.delete_before_replace
    return hidden


def _read_error_hook(opts: ResourceOptions) -> dict[str, Any]:
    return {"errorHook": True} if getattr(getattr(opts, "hooks", None), "on_error", None) else {}


def _resolve_deleted_with(other: pulumi.Resource, kind: ResourceKind, resolved: ResolvedOptions) -> None:
    """Stop the agent before its room is ended: with the option itself, the engine would only drop it."""
    if kind.ends_with_a_room and other.pulumi_resource_type == ROOM_TYPE:
        _stop_before(other, resolved.opts)
    else:
        resolved.problems.append(f"deleted_with: {ONLY_A_ROOM}")


def _stop_before(room: pulumi.Resource, opts: ResourceOptions) -> None:
    """Replace ``deleted_with``: the resource is deleted before the room, and replaced together with it."""
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


_kinds: Final[dict[str, ResourceKind]] = {}


def register(kind: ResourceKind) -> ResourceKind:
    """Make a resource class known to `watch_transforms`."""
    _kinds[kind.type_] = kind
    return kind


def foreign_transforms() -> frozenset[str]:
    """The transforms that the program has registered until now."""
    transforms = (item for server in _callback_servers() for item in _transforms_of(server).items())
    return frozenset(token for function, token in transforms if function.__module__ != __name__)


async def watch_transforms() -> None:
    """Register a transform that runs after all others and reads the resulting options.

    Call it once in a run, and again if the program has registered another transform since.

    The engine runs a resource's own transforms first, then those of its parents, then those of the stack, so this one
    is a transform of the stack. The SDK's function for that waits until all resources are registered, and this one
    delays them; so the SDK's internal functions are used. If they are called for several resources at the same time,
    each call makes a server of its own with a transform of its own, and the engine calls all of them for each resource.
    """
    callbacks: Any = await settings._get_callbacks()
    if callbacks is not None:

        async def transform(args: ResourceTransformArgs) -> ResourceTransformResult | None:
            kind = _kinds.get(args.type_)
            return await _read_effective_options(args, kind) if kind else None

        # A new function each time, because the SDK does not register the same one twice.
        callbacks.register_stack_transform(transform)


def _callback_servers() -> list[Any]:
    from pulumi.runtime import _callbacks  # noqa: PLC0415  a private module, which may move

    return list(getattr(_callbacks._CallbackServicer, "_servicers", []))


def _transforms_of(callbacks: Any) -> Mapping[Any, str]:
    found: Mapping[Any, str] = getattr(callbacks, "_transforms", {})
    return found


async def _read_effective_options(args: ResourceTransformArgs, kind: ResourceKind) -> ResourceTransformResult | None:
    """The provider's data about options that were inherited or changed by a transform; None if nothing changed."""
    opts, props = args.opts, dict(args.props)
    from_program: Any = props.get("options") or {}
    problems: list[str] = []
    changed = False
    for option in _PATHS:
        paths = list(getattr(opts, option, None) or [])
        wire = _translate_paths(option, paths, kind, problems)
        if wire != paths:
            setattr(opts, option, wire)
            changed = True
    hidden = {name: value for name, value in from_program.items() if name not in _EFFECTIVE}
    if kind.ends_with_a_room:
        hidden |= _read_order_and_retention(opts)
    hidden |= _read_error_hook(opts)
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
    if hidden == from_program and not changed:
        return None
    if hidden:
        props["options"] = hidden
    else:
        props.pop("options", None)
    return ResourceTransformResult(props, opts if changed else None)  # type: ignore[arg-type]  # None keeps the options


_EFFECTIVE: Final = ("retainOnDelete", "deleteBeforeReplace", "replaceOnChanges")
"""Hidden options that the engine also passes to a transform; the transform's values replace those of the program."""


async def _is_room(resource: pulumi.Resource) -> bool:
    """Whether a resource is a room, by its URN, because a transform receives nothing else about it."""
    parts = str(await resource.urn.future()).split("::")
    return len(parts) > 3 and parts[2].rpartition("$")[2] == ROOM_TYPE
