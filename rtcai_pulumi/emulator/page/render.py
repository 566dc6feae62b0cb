"""Renders parts of the page as HTML; each can be sent alone when it has changed."""

from collections.abc import Mapping
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from rtcai_pulumi.emulator.api.rate_limit import VERBS
from rtcai_pulumi.emulator.faults.model import KINDS
from rtcai_pulumi.emulator.page.format import duration, fault_text, turns_text
from rtcai_pulumi.emulator.page.requests import request_view, request_views
from rtcai_pulumi.emulator.page.rooms import RoomView, agent_views, moment, room_id, room_view, room_views
from rtcai_pulumi.emulator.page.timeline import ENDLESS, HEIGHT, WINDOWS, Scale, fitting
from rtcai_pulumi.emulator.settings import Settings, SettingsChange
from rtcai_pulumi.emulator.state.model import RoomKey
from rtcai_pulumi.emulator.state.service import EmulatedService

_KINDS: Final = {
    "answer": "another answer, nothing done",
    "answer-after": "another answer, work done first",
    "latency": "a slow answer",
    "hang": "no answer",
    "half": "half of an answer",
    "reset": "a reset connection",
    "garbage": "garbage for an answer",
    "hold": "hold until released",
}
"""What the form calls each kind of fault."""


class Pieces:
    """Renders what one emulator shows. To be used in the emulator's event loop."""

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._base_ms = service.clock.now_ms()
        # StrictUndefined: a misspelt name in a template must not pass for an empty text.
        self._templates = Environment(
            loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters |= {"duration": duration, "moment": moment, "fault": fault_text, "turns": turns_text}
        self._templates.globals |= {"ENDLESS": ENDLESS, "HEIGHT": HEIGHT}

    @property
    def cursor(self) -> str:
        """Up to where someone has seen everything who sees everything now."""
        return f"{self._service.instance}:{self._service.changes.number}"

    def page(self, before: int | None) -> str:
        """The whole page.

        Args:
            before: the number of a request: the requests before it are shown, instead of the newest.
        """
        rooms, hidden = room_views(self._service)
        return self._rendered(
            "page.html",
            cursor=self.cursor,
            rooms=rooms,
            hidden=hidden,
            scale=fitting(self._base_ms, self._service.clock.now_ms(), [room.first_ms for room in rooms]),
            windows=WINDOWS,
            verbs=VERBS,
            kinds={kind: _KINDS[kind] for kind in KINDS},
            before=before,
            base_ms=self._base_ms,
            **self._of_room(),
            **self._of_requests(before),
            **self._of_faults(),
            **self._of_summary(),
        )

    def room(self, key: RoomKey) -> str | None:
        """The row of one room; None where nothing is known of it any more."""
        view = room_view(self._service, key)
        return self._rendered("room.html", room=view, scale=self._scale(), **self._of_room()) if view else None

    def agents(self, identifier: str) -> str | None:
        """What there is to say of the agents of a room; None where there is none."""
        view = self._found(identifier)
        return self._rendered("agents.html", room=view, agents=agent_views(view)) if view else None

    def request(self, number: int) -> str | None:
        """The row of one request; None where it is forgotten."""
        view = request_view(self._service, number)
        return self._rendered("request.html", request=view) if view else None

    def message(self, number: int) -> str | None:
        """All that is recorded of one request; None where it is forgotten."""
        view = request_view(self._service, number)
        return self._rendered("message.html", request=view) if view else None

    def requests(self, before: int | None) -> str:
        """The requests before a number, or the newest."""
        return self._rendered("requests.html", before=before, **self._of_requests(before))

    def faults(self) -> str:
        """The faults that are set."""
        return self._rendered("faults.html", **self._of_faults())

    def summary(self) -> str:
        """The whole in a few numbers."""
        return self._rendered("summary.html", **self._of_faults(), **self._of_summary())

    def _of_room(self) -> dict[str, Any]:
        return {"accounts": len(self._service.settings.secrets)}

    def _of_requests(self, before: int | None) -> dict[str, Any]:
        record = self._service.record
        return {"requests": request_views(self._service, before), "newest": record.newest, "oldest": record.oldest}

    def _of_faults(self) -> dict[str, Any]:
        return {"faults": self._service.faults.shown()}

    def _of_summary(self) -> dict[str, Any]:
        service = self._service
        settings: Mapping[str, Any] = SettingsChange.of(service.settings).model_dump(mode="json", by_alias=True)
        usual = SettingsChange.of(Settings()).model_dump(mode="json", by_alias=True)
        return {
            "agents": service.state.running,
            "open": len(service.state.rooms),
            "count": service.record.newest - service.record.oldest + 1,
            "unusual": {name: value for name, value in settings.items() if value != usual[name]},
            "offset": service.clock.offset,
        }

    def _scale(self) -> Scale:
        # Any window will do: the script sets the one that is looked at.
        return Scale(self._base_ms, self._service.clock.now_ms(), WINDOWS[0])

    def _found(self, identifier: str) -> RoomView | None:
        keys = (key for key in self._service.state.room_keys() if room_id(key) == identifier)
        return next((view for key in keys if (view := room_view(self._service, key))), None)

    def _rendered(self, template: str, **context: Any) -> str:
        return self._templates.get_template(template).render(context)
