"""Renders the parts of the page as HTML; a changed part can be sent by itself."""

from collections.abc import Mapping
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from rtcai_pulumi.config.emulator import ChangeableSettings, EmulatorSettings
from rtcai_pulumi.emulator.api.rate_limit import VERBS
from rtcai_pulumi.emulator.faults.model import KINDS
from rtcai_pulumi.emulator.page.ends import EndTimes
from rtcai_pulumi.emulator.page.format import describe_end, describe_fault, describe_turns, duration
from rtcai_pulumi.emulator.page.requests import request_view, request_views
from rtcai_pulumi.emulator.page.rooms import RoomView, agent_views, moment, room_id, room_view, room_views
from rtcai_pulumi.emulator.page.timeline import ENDLESS, HEIGHT, WINDOWS, Scale, fit_scale
from rtcai_pulumi.emulator.state.model import RoomKey
from rtcai_pulumi.emulator.state.service import EmulatedService

_KINDS: Final = {
    "answer": "a different response; no effect",
    "answer-after": "a different response; takes effect first",
    "latency": "a delayed response",
    "hang": "no response",
    "half": "half of the response",
    "reset": "a reset connection",
    "garbage": "an invalid response",
    "hold": "hold until released",
}
"""The form's name for each kind of fault."""


class PageRenderer:
    """Renders the state of one emulator. Use it in the emulator's event loop only."""

    def __init__(self, service: EmulatedService, ends: EndTimes) -> None:
        self._service = service
        self._base_ms = service.clock.now_ms()
        # StrictUndefined: a misspelt name in a template must raise an error, not render as empty text.
        self._templates = Environment(
            loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters |= {
            "duration": duration,
            "end": describe_end,
            "moment": moment,
            "fault": describe_fault,
            "turns": describe_turns,
        }
        self._templates.globals |= {"ENDLESS": ENDLESS, "HEIGHT": HEIGHT, "find_end": ends.find}

    @property
    def cursor(self) -> str:
        """Return the position of a reader who has just seen everything."""
        return f"{self._service.instance}:{self._service.changes.number}"

    def page(self, before: int | None) -> str:
        """Render the whole page.

        Args:
            before: number of a request: show the requests before it instead of the newest ones.
        """
        rooms, hidden = room_views(self._service)
        return self._render(
            "page.html",
            cursor=self.cursor,
            rooms=rooms,
            hidden=hidden,
            scale=fit_scale(self._base_ms, self._service.clock.now_ms(), [room.first_ms for room in rooms]),
            windows=WINDOWS,
            verbs=VERBS,
            kinds={kind: _KINDS[kind] for kind in KINDS},
            before=before,
            base_ms=self._base_ms,
            **self._room_context(),
            **self._requests_context(before),
            **self._faults_context(),
            **self._summary_context(),
        )

    def room(self, key: RoomKey) -> str | None:
        """Render the row of one room; None if nothing is known about it any more."""
        view = room_view(self._service, key)
        return self._render("room.html", room=view, scale=self._scale(), **self._room_context()) if view else None

    def agents(self, identifier: str) -> str | None:
        """Render the details of a room's agents; None if it has none."""
        view = self._find_room(identifier)
        return self._render("agents.html", room=view, agents=agent_views(view)) if view else None

    def request(self, number: int) -> str | None:
        """Render the row of one request; None if it was dropped from the log."""
        view = request_view(self._service, number)
        return self._render("request.html", request=view) if view else None

    def message(self, number: int) -> str | None:
        """Render everything that is recorded about one request; None if it was dropped from the log."""
        view = request_view(self._service, number)
        return self._render("message.html", request=view) if view else None

    def requests(self, before: int | None) -> str:
        """Render the requests before a number, or the newest ones."""
        return self._render("requests.html", before=before, **self._requests_context(before))

    def faults(self) -> str:
        """Render the active faults."""
        return self._render("faults.html", **self._faults_context())

    def summary(self) -> str:
        """Render the summary numbers."""
        return self._render("summary.html", **self._faults_context(), **self._summary_context())

    def _room_context(self) -> dict[str, Any]:
        return {"accounts": len(self._service.settings.secrets)}

    def _requests_context(self, before: int | None) -> dict[str, Any]:
        record = self._service.record
        return {"requests": request_views(self._service, before), "newest": record.newest, "oldest": record.oldest}

    def _faults_context(self) -> dict[str, Any]:
        return {"faults": self._service.faults.to_json()}

    def _summary_context(self) -> dict[str, Any]:
        service = self._service
        settings: Mapping[str, Any] = ChangeableSettings.of(service.settings).model_dump(mode="json", by_alias=True)
        defaults = ChangeableSettings.of(EmulatorSettings()).model_dump(mode="json", by_alias=True)
        return {
            "agents": service.state.running,
            "open": len(service.state.rooms),
            "count": service.record.newest - service.record.oldest + 1,
            "changed_settings": {name: value for name, value in settings.items() if value != defaults[name]},
            "offset": service.clock.offset,
        }

    def _scale(self) -> Scale:
        # Any window is correct here: the script selects the visible one.
        return Scale(self._base_ms, self._service.clock.now_ms(), WINDOWS[0])

    def _find_room(self, identifier: str) -> RoomView | None:
        keys = (key for key in self._service.state.room_keys() if room_id(key) == identifier)
        return next((view for key in keys if (view := room_view(self._service, key))), None)

    def _render(self, template: str, **context: Any) -> str:
        return self._templates.get_template(template).render(context)
