"""The task that a resource stands for, as the engine's state holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from rtcai_pulumi.service.errors import Facts, OtherAccount
from rtcai_pulumi.service.settings import Settings


@dataclass(frozen=True, slots=True)
class StoredTask:
    """What identifies a task: the only handle that there is, for the service cannot list its tasks."""

    cname: str
    cid: int
    task_id: str
    app_key: str
    endpoint: str

    @classmethod
    def of(cls, resource_id: str, outputs: Mapping[str, Any]) -> Self:
        """The task of a resource, from its id ``{cid}/{taskId}`` and its outputs."""
        cid, _, task_id = resource_id.partition("/")
        return cls(
            cname=str(outputs["cname"]),
            cid=int(cid),
            task_id=task_id,
            app_key=str(outputs["appKey"]),
            endpoint=str(outputs["endpoint"]),
        )

    def require_same_account(self, settings: Settings, verb: str) -> None:
        """Refuse to speak of a task to an account that does not know it: its "not there" would mean nothing.

        Raises:
            OtherAccount: the settings name another AppKey or endpoint than the task was started under.
        """
        differences = [
            f"{name} is {given}, and the task was started under {stored}"
            for name, given, stored in (
                ("RTCAI_APP_KEY (config rtcai:appKey)", settings.app_key, self.app_key),
                ("RTCAI_ENDPOINT (config rtcai:endpoint)", settings.endpoint, self.endpoint),
            )
            if given != stored
        ]
        if differences:
            summary = f"Cannot {verb} this agent with these settings: {'; '.join(differences)}."
            facts = Facts(room=self.cname, cid=self.cid, task=self.task_id)
            raise OtherAccount(summary, facts, "set the values that the task was started under, and run again")
