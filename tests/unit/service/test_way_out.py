"""Requests through a real proxy and to a real TLS server, on loopback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.service.client import Client
from rtcai_pulumi.service.errors import ConnectionFailed, RtcAiError, UntrustedCertificate
from rtcai_pulumi.service.retry import HARMLESS, Retrier
from rtcai_pulumi.service.settings import Settings
from tests.network import Tls, running

HOST = "rtc-ai.invalid"


@pytest.fixture
def service() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def port(service: Emulator) -> int:
    return urlsplit(service.url).port or 0


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path)


def settings(service: Emulator, endpoint: str) -> Settings:
    return Settings(
        service.app_key, app_secret=service.app_secret, endpoint=endpoint, room_endpoint=endpoint, timeout=5
    )


def ask(service: Emulator, endpoint: str, **env: Any) -> int:
    """Open a room, with the product's limits for retries; returns its number."""
    with Client(settings(service, endpoint), env=env) as client:
        return Retrier(sleep=lambda _: None).run(lambda: client.open_room("hall", 1), HARMLESS)


def test_a_proxy_is_asked_for_the_whole_url_of_a_plain_endpoint(service: Emulator, port: int) -> None:
    with running(port) as proxy:
        assert ask(service, f"http://{HOST}", http_proxy=f"http://127.0.0.1:{proxy.port}")
    assert proxy.asked == [f"POST http://{HOST}/v2/api/room"]


def test_a_proxy_is_asked_to_connect_to_a_tls_endpoint(service: Emulator, port: int, tls: Tls) -> None:
    with running(port, tls.context(HOST)) as server, running(server.port) as proxy:
        assert ask(service, f"https://{HOST}", HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}", SSL_CERT_FILE=tls.bundle)
    assert proxy.asked == [f"CONNECT {HOST}:443"]


def test_loopback_never_uses_a_proxy(service: Emulator, port: int) -> None:
    with running(port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        assert ask(service, service.url, http_proxy=url, HTTP_PROXY=url, ALL_PROXY=url, NO_PROXY="localhost,[::1]")
    assert proxy.asked == []


@pytest.mark.shows("safety untrusted-certificate")
@pytest.mark.parametrize("through_a_proxy", [False, True])
def test_an_untrusted_certificate_is_named_and_tried_once(
    service: Emulator, port: int, tls: Tls, through_a_proxy: bool
) -> None:
    with running(port, tls.context("127.0.0.1")) as server, running(server.port) as proxy:
        endpoint = "https://127.0.0.1" if through_a_proxy else f"https://127.0.0.1:{server.port}"
        env = {"REQUESTS_CA_BUNDLE": tls.bundle}
        if through_a_proxy:
            endpoint, env = f"https://{HOST}", {**env, "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"}
        with pytest.raises(UntrustedCertificate) as caught:
            ask(service, endpoint, **env)
    assert server.connections <= 1
    said = str(caught.value)
    assert said.startswith(f"The certificate of {HOST if through_a_proxy else '127.0.0.1'} is not trusted")
    assert "unable to get local issuer certificate" in said
    assert "SSL_CERT_FILE" in said
    assert "REQUESTS_CA_BUNDLE is set, but is not read here" in said
    assert ("  proxy: http://127.0.0.1" in said) is through_a_proxy


def test_the_certificate_of_another_host_is_named(service: Emulator, port: int, tls: Tls) -> None:
    with (
        running(port, tls.context("elsewhere.invalid")) as server,
        running(server.port) as proxy,
        pytest.raises(UntrustedCertificate, match="Hostname mismatch"),
    ):
        ask(service, f"https://{HOST}", HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}", SSL_CERT_FILE=tls.bundle)
    assert len(proxy.asked) == 1


def test_an_own_authority_is_trusted_where_it_is_named(service: Emulator, port: int, tls: Tls) -> None:
    with running(port, tls.context("127.0.0.1")) as server:
        assert ask(service, f"https://127.0.0.1:{server.port}", SSL_CERT_FILE=tls.bundle)


@pytest.mark.parametrize("refuses", ["407 Proxy Authentication Required", "502 Bad Gateway", None])
def test_a_proxy_that_refuses_or_is_not_there_is_named_without_its_password(
    service: Emulator, port: int, refuses: str | None
) -> None:
    with running(port, refuses=refuses or "500 gone") as proxy:
        there = proxy.port
        if refuses:
            error = refusal(service, there)
    if not refuses:
        error = refusal(service, there)
    assert f"  proxy: http://127.0.0.1:{there} (HTTPS_PROXY)" in str(error)
    assert "canary" not in str(error)


def refusal(service: Emulator, port: int) -> RtcAiError:
    with pytest.raises(ConnectionFailed, match="nothing was sent") as caught:
        ask(service, f"https://{HOST}", HTTPS_PROXY=f"http://user:canary@127.0.0.1:{port}")
    return caught.value
