import logging
from typing import Literal

import pytest

from tests.emulator.api import Api
from tests.emulator.raw import logged, sent, until, until_end


def test_a_reset_is_a_real_one_and_no_orderly_end(api: Api) -> None:
    api.emulator.fault("create", "reset")
    with sent(api) as client, pytest.raises(ConnectionResetError):
        client.recv(1)


def test_half_an_answer_is_all_headers_half_the_body_and_an_orderly_end(api: Api) -> None:
    api.emulator.fault("create", "half", work=True)
    with sent(api) as client:
        head, _, half = until_end(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    assert len(half) == length // 2
    assert half.startswith(b'{"code": 200')


def test_who_is_hung_up_on_gets_not_a_byte_and_an_orderly_end(api: Api) -> None:
    hold = api.emulator.hold("create")
    with sent(api) as client:
        hold.wait()
        api.emulator.reset()
        assert until_end(client) == b""


@pytest.mark.parametrize("kind", ["reset", "half", "hang"])
def test_a_broken_connection_is_no_mistake_in_the_servers_log(
    api: Api, kind: Literal["reset", "half", "hang"], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    number = api.emulator.fault("create", kind)
    with logged("no answer") as unanswered:
        with sent(api):
            until(lambda: any(fault["applied"] for fault in api.emulator.faults()))
        assert unanswered.wait(30)
    api.emulator.remove_fault(number)
    assert api.create()["code"] == 200
    assert caplog.records == []


def test_a_client_that_is_gone_already_is_no_mistake_either(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    api.emulator.fault("create", "reset", work=True)
    api.emulator.fault("create", "latency", after=0.05)
    with logged("cut: reset") as reset:
        with sent(api):
            pass
        assert reset.wait(30)
    api.create()
    assert len(api.emulator.tasks()) == 2
    assert caplog.records == []
