"""Random walks over the real plugin process, with the journal on disk, compared with a plain dict.

The test plays the engine: it keeps the state, and loses it if an engine would be killed. After every walk, one more
`up` must leave exactly one agent for each resource, and a `destroy` none.
"""

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Literal

import grpc
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from pulumi.runtime.proto import provider_pb2 as messages

from rtcai_pulumi.emulator import Emulator
from tests.plugin.plugin import Plugin, running_plugin
from tests.samples import parameters

NAMES = st.sampled_from(["one", "two"])
SPEEDS = st.sampled_from([0.9, 1.5])
STRATEGIES = st.sampled_from(["stop-first", "start-first"])
FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    ("create", "reset", {"work": True}),
    ("create", "reset", {"work": False}),
    ("create", "half", {"work": True}),
    ("create", "answer", {"status": 429, "code": 429}),
    ("create", "garbage", {}),
    ("create", "latency", {"after": 0.2}),
    ("create", "answer", {"code": 611}),
    ("create", "answer-after", {"status": 500}),
    ("close", "reset", {"work": True}),
    ("close", "answer", {"status": 503}),
    ("close", "answer", {"code": 611}),
    ("query", "reset", {"work": False}),
]


class Walk(RuleBasedStateMachine):
    """Two resources, each in its own room."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.ends = ExitStack()
        self.emulator = self.ends.enter_context(Emulator(dedup="replay"))
        self.process = ExitStack()
        self.plugin = self.started()
        self.state: dict[str, tuple[str, dict[str, Any]]] = {}
        self.wanted: dict[str, dict[str, Any]] = {}
        self.refusals: list[str] = []

    def started(self) -> Plugin:
        environment = {
            "RTCAI_APP_KEY": self.emulator.app_key,
            "RTCAI_APP_SECRET": self.emulator.app_secret,
            "RTCAI_ENDPOINT": self.emulator.url,
            "RTCAI_TIMEOUT": "5",
        }
        plugin = self.process.enter_context(running_plugin(self.folder / "journal.db", **environment))
        plugin.configure()
        return plugin

    @rule()
    def next_run(self) -> None:
        """Every command of the CLI has its own plugin process. To the next process, its end looks like a kill."""
        self.process.close()
        self.plugin = self.started()

    @rule(name=NAMES, speed=SPEEDS, strategy=STRATEGIES)
    def up(self, name: str, speed: float, strategy: str) -> None:
        """Set a configuration and bring it up. A fault may make this fail."""
        self.wanted[name] = parameters(
            cname=f"room-{name}", owner=f"walk:{name}", tts={"speed": speed}, replaceStrategy=strategy
        )
        self.next_run()
        self.perhaps(lambda: self.bring_up(name))

    @rule(name=NAMES)
    def up_that_the_engine_never_stores(self, name: str) -> None:
        """A killed engine: the plugin did its work, and no state has the result."""
        before = self.state.get(name)
        if name in self.wanted:
            self.next_run()
            self.perhaps(lambda: self.bring_up(name))
            if before is None:
                self.state.pop(name, None)
            else:
                self.state[name] = before

    @rule(
        name=NAMES,
        speed=SPEEDS,
        request=st.sampled_from(["create", "close"]),
        at=st.sampled_from(["arrived", "worked"]),
    )
    def killed_in_mid_request(
        self, name: str, speed: float, request: Literal["create", "close"], at: Literal["arrived", "worked"]
    ) -> None:
        """The plugin is killed while it waits for an answer. The service has received or executed the request."""
        self.wanted[name] = parameters(cname=f"room-{name}", owner=f"walk:{name}", tts={"speed": speed})
        self.next_run()
        with ThreadPoolExecutor() as pool:
            hold = self.emulator.hold(request, at=at, times=None)
            work = pool.submit(self.perhaps, lambda: self.bring_up(name))
            while not work.done():
                with suppress(TimeoutError):
                    hold.wait(timeout=0.1)
                    self.plugin.kill()
                    break
            hold.release()

    @rule(fault=st.sampled_from(FAULTS))
    def fault(self, fault: tuple[str, str, dict[str, Any]]) -> None:
        """The fault affects the next request of its kind."""
        verb, kind, parts = fault
        self.emulator.fault(verb, kind, **parts)  # type: ignore[arg-type]  # the table holds its words

    @rule(name=NAMES)
    def the_room_ends(self, name: str) -> None:
        """Drift."""
        if f"room-{name}" in {room["cname"] for room in self.emulator.rooms()}:
            self.emulator.end_room(f"room-{name}")

    @rule(name=NAMES)
    def refresh(self, name: str) -> None:
        """An agent that is definitely gone leaves the state."""
        if name in self.state:
            self.next_run()
            id_, _ = self.plugin.read(*self.state[name])
            if not id_:
                assert self.state[name][0] not in self.live(name)
                del self.state[name]

    @rule(name=NAMES)
    def destroy(self, name: str) -> None:
        """Stop the agent. A refusal keeps the state."""
        if name in self.state:
            self.next_run()
            if self.perhaps(lambda: self.plugin.delete(*self.state[name])):
                del self.state[name]

    def perhaps(self, work: Callable[[], None]) -> bool:
        """Do work that a fault can make fail with an error without stack frames; returns whether it succeeded."""
        try:
            work()
        except grpc.RpcError as error:
            self.refusals.append(error.details() or "")
            return False
        return True

    def bring_up(self, name: str) -> None:
        """The calls of the engine for one resource."""
        inputs = self.wanted[name]
        if name not in self.state:
            self.state[name] = self.plugin.create(inputs)
            return
        id_, outputs = self.state[name]
        answer = self.plugin.diff(id_, outputs, inputs)
        if list(answer.replaces) and answer.deleteBeforeReplace:
            self.plugin.delete(id_, outputs)
            del self.state[name]
            self.state[name] = self.plugin.create(inputs)
        elif list(answer.replaces):
            self.state[name] = self.plugin.create(inputs)
            self.plugin.delete(id_, outputs)
        elif answer.changes == messages.DiffResponse.DIFF_SOME:
            self.state[name] = (id_, self.plugin.update(id_, outputs, inputs))

    def live(self, name: str) -> list[str]:
        """The tasks that run in a resource's room."""
        return [
            f"{task['cid']}/{task['taskId']}"
            for task in self.emulator.tasks()
            if task["state"] == "running" and task["cname"] == f"room-{name}"
        ]

    def teardown(self) -> None:
        """One more `up` leaves exactly one agent for each resource, and a `destroy` none."""
        try:
            assert not any("Traceback" in refusal for refusal in self.refusals)
            self.emulator.clear_faults()
            for name in self.wanted:
                self.next_run()
                if name in self.state and not self.plugin.read(*self.state[name])[0]:
                    del self.state[name]
                self.bring_up(name)
                assert self.live(name) == [self.state[name][0]]
            self.next_run()
            for id_, outputs in self.state.values():
                self.plugin.delete(id_, outputs)
            assert [self.live(name) for name in ("one", "two")] == [[], []]
        finally:
            self.process.close()
            self.ends.close()
            shutil.rmtree(self.folder)


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=8, stateful_step_count=12, deadline=None, derandomize=True)
