"""The resource that represents one RTC room."""

from typing import Any, Never

import pulumi
from pulumi import Input, Output, ResourceOptions
from pulumi.dynamic import Resource

from rtcai_pulumi.config.block import describe_misspelt_keyword
from rtcai_pulumi.config.conversation import HIDDEN
from rtcai_pulumi.config.end_time import ENDS_AT, EndTime
from rtcai_pulumi.config.room import SET_BY_EVENT, RoomInputs
from rtcai_pulumi.config.rules import HOW_TO_ADOPT_A_ROOM
from rtcai_pulumi.config.setting import Setting
from rtcai_pulumi.lifecycle.room import ADDED_OUTPUTS, check_room
from rtcai_pulumi.options import ROOM_TYPE, ResourceKind, register, resolve_options, wire_name
from rtcai_pulumi.provider import RoomProvider
from rtcai_pulumi.registration import (
    as_inputs,
    delay_registration,
    former_owners_of,
    normalize_end_input,
    owner_of,
    require_text_and_options,
)
from rtcai_pulumi.sdk_wait import wait_for_registration

_KIND = register(
    ResourceKind(
        ROOM_TYPE,
        RoomInputs,
        {"cid": "cid", "appKey": "app_key", "roomEndpoint": "room_endpoint"},
        HOW_TO_ADOPT_A_ROOM,
    )
)


class Room(Resource, module="rtcai", name="Room"):
    """One RTC room: `pulumi up` opens it, `pulumi destroy` ends it if no one is in it any more.

    A conversation that takes its `cname` from this resource starts after the room is open, and stops before it ends.
    The room API requires an AppSecret.

    Raises:
        TypeError: a keyword is misspelt; the message names the nearest one.
    """

    def __init__(
        self,
        name: str,
        *,
        cname: Input[str],
        uid: Setting[int] = None,
        adopt_existing: Setting[bool] = None,
        force: Setting[bool] = None,
        ends_at: Setting[EndTime] = None,
        opts: ResourceOptions | None = None,
        **misspelt: Never,
    ) -> None:
        """Declare the room.

        Args:
            name: the resource's name in the program.
            cname: the room's name, 1 to 64 bytes of UTF-8.
            uid: the user who counts as the room's creator, 1 to 2^53 - 1; made from the stack and the room's name if it
                is left out.
            adopt_existing: whether to adopt a room with this name that is already open; by default that is an error.
            force: whether to end a room that still has members when the resource is deleted, which disconnects
                everyone; by default it is left open, with a warning.
            ends_at: when the agent of the room is to end: a text in ISO 8601 with an offset, or a ``datetime`` with a
                time zone. Give it the end of the conversation in it: then a room that has ended is not opened again.
            opts: Pulumi's options.
            misspelt: rejected.
        """
        for keyword in misspelt:
            known = [field for field in RoomInputs.model_fields if field not in {*HIDDEN, *SET_BY_EVENT, "extra"}]
            raise TypeError(describe_misspelt_keyword(type(self).__name__, keyword, [*known, "opts"]))
        arguments = {"cname": cname, "uid": uid, "adoptExisting": adopt_existing, "force": force}
        self._declare(name, {**arguments, ENDS_AT: normalize_end_input(ends_at)}, opts)

    @classmethod
    def _of_event(cls, name: str, cname: Input[str], ends_at: Any, opts: ResourceOptions | None) -> "Room":
        """The room of an event; if the event gets another name, it takes the open room of its former resource.

        Args:
            name: the resource's name in the program.
            cname: the room's name.
            ends_at: the end of the agent in it; None if it has no end.
            opts: Pulumi's options.
        """
        room = cls.__new__(cls)
        room._declare(name, {"cname": cname, "takeOver": True, ENDS_AT: normalize_end_input(ends_at)}, opts)
        return room

    def _declare(self, name: str, arguments: dict[str, Any], opts: ResourceOptions | None) -> None:
        require_text_and_options(type(self).__name__, name, opts)
        # Every property that the provider returns must be named here, even without a value.
        properties = dict.fromkeys((*arguments, *ADDED_OUTPUTS))
        if opts is not None and opts.urn is not None:  # it is read from the state, and nothing is registered
            super().__init__(RoomProvider(), name, properties, opts)
            return
        inputs: dict[str, Any] = as_inputs(arguments, f"Room {name!r}")
        options = resolve_options(opts, _KIND)
        if former := former_owners_of(_KIND.type_, name, opts):
            options.hidden["formerOwners"] = former
        if options.hidden:
            inputs["options"] = options.hidden
        owner = delay_registration(
            owner_of(_KIND.type_, name, opts), name, inputs, opts, options, type_="Room", check=check_room
        )
        # The SDK waits for the inputs one after the other: if the owner fails the run, it has not read the others.
        all_properties = {"owner": owner, **properties, **inputs}
        super().__init__(RoomProvider(), name, all_properties, options.opts)
        wait_for_registration(self, all_properties)

    def translate_input_property(self, prop: str) -> str:
        """The request's name for a name in Pulumi's options, as in ``ignore_changes``; called by the SDK."""
        return wire_name(prop, _KIND)

    @property
    def cid(self) -> Output[str]:
        """The room's number, as decimal digits; a room that was opened again has another."""
        return self._output("cid")

    @property
    def cname(self) -> Output[str]:
        """The room's name."""
        return self._output("cname")

    @property
    def app_key(self) -> Output[str]:
        """The AppKey that the room was opened with; not a secret."""
        return self._output("appKey")

    @property
    def room_endpoint(self) -> Output[str]:
        """The base URL of the room API that the room was opened with."""
        return self._output("roomEndpoint")

    @property
    def ends_at(self) -> Output[str | None]:
        """When the agent of the room is to end, in UTC; None if it has no end."""
        return self._output(ENDS_AT)

    def _output(self, name: str) -> Output[Any]:
        """An output by its name in state; this class has the names in Python."""
        output: Output[Any] = pulumi.get(self, name)
        return output
