import socket

import pytest

from rtcai_pulumi.emulator.errors import CannotStart, PortTaken
from rtcai_pulumi.emulator.http.server import format_url, listen


def test_port_0_picks_a_free_port_of_this_machine() -> None:
    with listen(0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        assert format_url(listener) == f"http://127.0.0.1:{port}"


def test_a_connection_is_taken_from_the_moment_on_that_the_url_is_known() -> None:
    with listen(0) as listener, socket.create_connection(listener.getsockname(), timeout=5) as client:
        assert client.getpeername() == listener.getsockname()


def test_a_port_that_is_listened_on_is_taken() -> None:
    with listen(0) as first, pytest.raises(PortTaken, match="choose another port"):
        listen(first.getsockname()[1])


def test_a_port_that_the_system_does_not_give_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", denied)
    with pytest.raises(CannotStart, match=r"port 80 of 127\.0\.0\.1: Permission denied"):
        listen(80)


def test_answers_are_not_held_back_by_the_system() -> None:
    with listen(0) as listener:
        # asyncio checks this before it sets TCP_NODELAY. Without that option, an answer takes 40 ms.
        assert listener.proto == socket.IPPROTO_TCP
