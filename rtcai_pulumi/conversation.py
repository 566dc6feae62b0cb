"""The resource that represents one AI agent in one room."""

from collections.abc import Mapping
from typing import Any, Never, Self

import pulumi
from pulumi import Input, Output, ResourceOptions
from pulumi.dynamic import Resource

from rtcai_pulumi.config.block import describe_misspelt_keyword
from rtcai_pulumi.config.blocks import Agent, Asr, Llm, Pipeline, Tts
from rtcai_pulumi.config.conversation import HIDDEN, Conversation, ReplaceStrategy
from rtcai_pulumi.config.end_time import EndTime
from rtcai_pulumi.config.problems import Problem
from rtcai_pulumi.config.rules import HOW_TO_ADOPT_AN_AGENT, TOO_DEEP
from rtcai_pulumi.config.setting import BlockSetting, Setting
from rtcai_pulumi.config.validation import check, check_nesting
from rtcai_pulumi.config.wire import flat_inputs
from rtcai_pulumi.options import CONVERSATION_TYPE, ResourceKind, WireName, register, resolve_options, wire_name
from rtcai_pulumi.provider import ConversationProvider
from rtcai_pulumi.registration import (
    add_conversation,
    as_inputs,
    delay_registration,
    former_owners_of,
    normalize_end_input,
    owner_of,
    possible_roommates,
    require_text_and_options,
)
from rtcai_pulumi.sdk_wait import continue_output, wait_for_registration

_OUTPUT_ONLY = {
    "cid": "cid",
    "taskId": "task_id",
    "requestId": "request_id",
    "traceId": "trace_id",
    "createdAt": "created_at",
    "appKey": "app_key",
    "endpoint": "endpoint",
    "roomEndpoint": "room_endpoint",
    "mode": "mode",
}
_KIND = register(
    ResourceKind(
        CONVERSATION_TYPE,
        Conversation,
        _OUTPUT_ONLY,
        HOW_TO_ADOPT_AN_AGENT,
    )
)


class InvalidBody(pulumi.RunError):
    """A whole create body is invalid: it has a null, a block outside ``data``, or an unknown field. Fix the body."""


class RealtimeConversation(Resource, module="rtcai", name="RealtimeConversation"):
    """One AI agent in one RTC room: `pulumi up` starts it, a change replaces it, `pulumi destroy` stops it.

    Each argument may be a Pulumi ``Output``, and so may each value inside a block. All values are checked together at
    preview. There are three modes: `agent` alone; or `asr`, `llm` and `tts`; or `llm` with ``enable_agent`` and
    ``agent_param``, together with the blocks that override settings of that agent.

    Raises:
        TypeError: a keyword is misspelt; the message names the nearest one.
    """

    def __init__(
        self,
        name: str,
        *,
        cname: Input[str],
        agent: BlockSetting[Agent] = None,
        asr: BlockSetting[Asr] = None,
        llm: BlockSetting[Llm] = None,
        tts: BlockSetting[Tts] = None,
        pipeline: BlockSetting[Pipeline] = None,
        extra: Setting[Mapping[str, Any]] = None,
        request_id: Setting[str] = None,
        replace_strategy: Setting[ReplaceStrategy] = None,
        wait_for_room: Setting[float] = None,
        adopt: Setting[str] = None,
        ends_at: Setting[EndTime] = None,
        opts: ResourceOptions | None = None,
        **misspelt: Never,
    ) -> None:
        """Declare the agent.

        Args:
            name: the resource's name in the program.
            cname: the room's name, 1 to 64 bytes of UTF-8.
            agent: a Yunxin agent that provides all settings.
            asr: speech recognition.
            llm: language model.
            tts: speech synthesis.
            pipeline: interruption and greeting.
            extra: whole blocks that the API page does not list yet, by their names in the request.
            request_id: free text for troubleshooting; generated if it is left out.
            replace_strategy: ``"stop-first"`` (default) or ``"start-first"``: what a replacement in the same room
                does first.
            wait_for_room: how many seconds a create waits for a room that does not exist yet, 0 (default) to 3600.
            adopt: a running task, as ``"cid/taskId"``, to adopt instead of starting a new one; ignored once the journal
                or the state has ever had it.
            ends_at: when the agent is to end: a text in ISO 8601 with an offset, or a ``datetime`` with a time zone.
                ``rtcai sweep --over`` stops it then, and no later run starts it again.
            opts: Pulumi's options.
            misspelt: rejected.
        """
        for keyword in misspelt:
            known = [field for field in Conversation.model_fields if field not in HIDDEN]
            raise TypeError(describe_misspelt_keyword(type(self).__name__, keyword, [*known, "opts"]))
        inputs = Conversation(
            cname=cname,
            agent=agent,
            asr=asr,
            llm=llm,
            tts=tts,
            pipeline=pipeline,
            extra=extra,
            request_id=request_id,
            replace_strategy=replace_strategy,
            wait_for_room=wait_for_room,
            adopt=adopt,
            ends_at=normalize_end_input(ends_at),
        )
        self._declare(name, inputs, opts)

    @classmethod
    def from_body(cls, name: str, body: Mapping[str, Any], opts: ResourceOptions | None = None) -> Self:
        """Declare the agent with a whole create body, in the form that the API page shows.

        Args:
            name: the resource's name in the program.
            body: ``cname``, ``taskType`` and ``data``, and optionally ``requestId``; values may be outputs.
            opts: Pulumi's options.

        Raises:
            InvalidBody: the body has parts that a resource cannot express (a null, a wrong ``taskType``, a block
                outside ``data``); one message lists all of them. Wrong values are reported at preview, as for any
                resource.
        """
        try:
            problems = check_nesting(body)
        except RecursionError:
            problems = [Problem("(root)", TOO_DEEP)]
        if problems:
            lines = "".join(f"\n  {problem}" for problem in problems)
            message = f"the body of conversation {name!r} cannot be read:{lines}"
            raise InvalidBody(message)
        conversation = cls.__new__(cls)
        conversation._declare(name, flat_inputs(body), opts)
        return conversation

    def _declare(self, name: str, inputs: Conversation | dict[str, Any], opts: ResourceOptions | None) -> None:
        require_text_and_options(type(self).__name__, name, opts)
        try:
            self._register(name, as_inputs(inputs, f"RealtimeConversation {name!r}"), opts)
        except RecursionError:  # too deep for Python, or an object that contains itself
            message = f"conversation {name!r} cannot be read: {TOO_DEEP}"
            raise InvalidBody(message) from None

    def _register(self, name: str, inputs: dict[str, Any], opts: ResourceOptions | None) -> None:
        # Every property that the provider returns must be named here, even without a value.
        properties = dict.fromkeys((*Conversation.wire_names(), "extra", *_OUTPUT_ONLY))
        if opts is not None and opts.urn is not None:  # it is read from the state, and nothing is registered
            super().__init__(ConversationProvider(), name, properties, opts)
            return
        options = resolve_options(opts, _KIND)
        if former := former_owners_of(_KIND.type_, name, opts):
            options.hidden["formerOwners"] = former
        if inputs.get("adopt") is not None:
            options.hidden["roommates"] = possible_roommates(name, inputs.get("cname"))
        if options.hidden:
            inputs["options"] = options.hidden
        owner = delay_registration(
            owner_of(_KIND.type_, name, opts), name, inputs, opts, options, type_="RealtimeConversation", check=check
        )
        if "cname" in inputs:
            inputs["cname"] = add_conversation(name, inputs["cname"], opts)
        # The SDK waits for the inputs one after the other: if the owner fails the run, it has not read the others.
        # The owner comes first, and is a plain text that needs no mark.
        marked = _mark_names({"owner": None, **properties, **inputs})
        marked["owner"] = owner
        super().__init__(ConversationProvider(), name, marked, options.opts)
        wait_for_registration(self, marked)

    def translate_input_property(self, prop: str) -> str:
        """The request's name for a name in Pulumi's options, as in ``ignore_changes``; called by the SDK."""
        return prop if isinstance(prop, WireName) else wire_name(prop, _KIND)

    @property
    def cid(self) -> Output[str]:
        """The room's number, as decimal digits; a room that was opened again has another."""
        return self._output("cid")

    @property
    def task_id(self) -> Output[str]:
        """The task's id, unique in the room."""
        return self._output("taskId")

    @property
    def request_id(self) -> Output[str]:
        """The request's id: the configured one, or the generated one."""
        return self._output("requestId")

    @property
    def trace_id(self) -> Output[str]:
        """The trace id of the create in the service's logs."""
        return self._output("traceId")

    @property
    def created_at(self) -> Output[str]:
        """When the agent was started: ISO 8601, UTC."""
        return self._output("createdAt")

    @property
    def app_key(self) -> Output[str]:
        """The AppKey that the agent was started with; not a secret."""
        return self._output("appKey")

    @property
    def endpoint(self) -> Output[str]:
        """The base URL that the agent was started at."""
        return self._output("endpoint")

    @property
    def mode(self) -> Output[str]:
        """``parameters``, ``agent`` or ``agent+parameters``."""
        return self._output("mode")

    @property
    def cname(self) -> Output[str]:
        """The room's name."""
        return self._output("cname")

    @property
    def agent(self) -> Output[dict[str, Any] | None]:
        """The block ``agent`` as configured, with the field names of the request."""
        return self._output("agent")

    @property
    def asr(self) -> Output[dict[str, Any] | None]:
        """The block ``asr`` as configured, with the field names of the request."""
        return self._output("asr")

    @property
    def llm(self) -> Output[dict[str, Any] | None]:
        """The block ``llm`` as configured, with the field names of the request."""
        return self._output("llm")

    @property
    def tts(self) -> Output[dict[str, Any] | None]:
        """The block ``tts`` as configured, with the field names of the request."""
        return self._output("tts")

    @property
    def pipeline(self) -> Output[dict[str, Any] | None]:
        """The block ``pipeline`` as configured, with the field names of the request."""
        return self._output("pipeline")

    @property
    def extra(self) -> Output[dict[str, Any] | None]:
        """The blocks without a name of their own, as configured."""
        return self._output("extra")

    @property
    def replace_strategy(self) -> Output[str | None]:
        """What a replacement in the same room does first; None if it is not set."""
        return self._output("replaceStrategy")

    @property
    def wait_for_room(self) -> Output[float | None]:
        """How many seconds a create waits for its room; None if it is not set."""
        return self._output("waitForRoom")

    @property
    def adopt(self) -> Output[str | None]:
        """The task to adopt; None if it is not set."""
        return self._output("adopt")

    @property
    def ends_at(self) -> Output[str | None]:
        """When the agent is to end: ISO 8601, UTC; None if it has no end."""
        return self._output("endsAt")

    def _output(self, name: str) -> Output[Any]:
        """An output by its name in state; this class has the names in Python."""
        output: Output[Any] = pulumi.get(self, name)
        return output


def _mark_names(value: Any) -> Any:
    """A value whose keys the SDK does not translate, at any depth. The SDK translates names of properties and of
    options with the same function, and keys that a program chose must not be taken for names of properties.

    This is a recursion of its own, because it changes the keys.
    """
    if isinstance(value, Output):
        return continue_output(value, _mark_names)
    if isinstance(value, Mapping):
        return {WireName(key) if isinstance(key, str) else key: _mark_names(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mark_names(item) for item in value]
    return value
