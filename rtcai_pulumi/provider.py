"""The classes that a program and the states of its stacks name as the providers of their resources.

The plugin process makes an instance for each and calls `configure` first. A program only names the classes, so what
serves the verbs is loaded by `configure`.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from pulumi.dynamic import ResourceProvider

from rtcai_pulumi.module_loading import pause_garbage_collection

if TYPE_CHECKING:
    from pulumi.dynamic import CheckResult, ConfigureRequest, CreateResult, DiffResult, ReadResult, UpdateResult

    from rtcai_pulumi.plugin import ConversationVerbs, PluginProcess, RoomVerbs


class _DynamicProvider(ResourceProvider):
    """What the providers have in common. The engine configures each of them, in one process."""

    serialize_as_secret_always = False  # the reference is a constant; as a secret it would be ciphertext in every state

    _configuring: ClassVar[Lock] = Lock()
    _process: ClassVar[PluginProcess | None] = None
    _verbs: ConversationVerbs | RoomVerbs

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report every problem of the inputs."""
        return self._verbs.check(_olds, news)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compare the state with new inputs."""
        return self._verbs.diff(_id, _olds, _news)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Start the agent, or open the room."""
        return self._verbs.create(props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Remove it from the state if it is definitely gone."""
        return self._verbs.read(id_, props)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Correct what a running agent or an open room needs no replacement for."""
        return self._verbs.update(_id, _olds, _news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Stop the agent, or end the room."""
        self._verbs.delete(_id, _props)

    def _configure_process(self, req: ConfigureRequest) -> PluginProcess:
        """The one process. It resolves its settings at the first request, because a preview needs none."""
        with _DynamicProvider._configuring:
            if _DynamicProvider._process is None:
                with pause_garbage_collection():
                    from rtcai_pulumi.plugin import PluginProcess  # noqa: PLC0415  a program only names the class

                _DynamicProvider._process = PluginProcess(req.config.get)
            return _DynamicProvider._process


class ConversationProvider(_DynamicProvider):
    """Serves `check`, `diff`, `create`, `read`, `update` and `delete` of a conversation.

    The state of every stack has a reference to this class by its name, forever: module and name must not change, and an
    instance must have no attributes before `configure`.
    """

    def configure(self, req: ConfigureRequest) -> None:
        """Load what serves the verbs."""
        process = self._configure_process(req)
        from rtcai_pulumi.plugin import ConversationVerbs  # noqa: PLC0415  as above

        self._verbs = ConversationVerbs(process)


class RoomProvider(_DynamicProvider):
    """Serves `check`, `diff`, `create`, `read`, `update` and `delete` of a room.

    The state of every stack has a reference to this class by its name, forever: module and name must not change, and an
    instance must have no attributes before `configure`.
    """

    def configure(self, req: ConfigureRequest) -> None:
        """Load what serves the verbs."""
        process = self._configure_process(req)
        from rtcai_pulumi.plugin import RoomVerbs  # noqa: PLC0415  as above

        self._verbs = RoomVerbs(process)
