"""How requests are sent: the proxy, ``no_proxy`` and the certificates."""

import ssl
import sys
from pathlib import Path

import pytest

from rtcai_pulumi.service import network
from rtcai_pulumi.service.errors import SettingsError
from rtcai_pulumi.service.network import how_to_trust, load_trusted, route_to

PROXY = {"HTTPS_PROXY": "http://user:canary@proxy:3128"}


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("*", "https://example.com", True),
        ("example.com", "https://example.com", True),
        ("example.com", "https://a.example.com", True),
        ("example.com", "https://notexample.com", False),
        ("EXAMPLE.com.", "https://a.Example.com", True),
        (".example.com", "https://a.example.com", True),
        (".example.com", "https://example.com", False),
        ("*.example.com", "https://a.example.com", True),
        ("example.com:8443", "https://example.com:8443", True),
        ("example.com:8443", "https://example.com", False),
        ("example.com:443", "https://example.com", True),
        ("a,b c,example.com", "https://example.com", True),
        (" example.com ", "https://example.com", True),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.0.0.0/8", "https://example.com", False),
        ("10.1.2.3", "https://10.1.2.3", True),
        ("10.1.2.3:443", "https://10.1.2.3", True),
        ("10.1.2.3:80", "https://10.1.2.3", False),
        ("fd00::/8", "https://[fd00::1]", True),
        ("[fd00::1]", "https://[fd00::1]", True),
        ("fd00::1", "https://[fd00:0::1]", True),
        ("[fd00::1]:443", "https://[fd00::1]", True),
        ("[fd00::]/8", "https://[fd00::1]", True),
        ("localhost,[::1]", "https://example.com", False),
        ("10.0.0.0/8", "https://[::ffff:10.1.2.3]", True),
    ],
)
def test_an_entry_means_what_curl_and_go_understand_by_it(no_proxy: str, url: str, direct: bool) -> None:
    route = route_to(url, {**PROXY, "NO_PROXY": no_proxy})
    assert (route.proxy is None) is direct
    assert route.invalid_entries == ()


@pytest.mark.parametrize("entry", ["10.0.0.0/99", "http://example.com", "a@b", "[::1", "fd00::/999", "a*b"])
def test_an_entry_that_is_not_understood_is_named_with_its_variable(entry: str) -> None:
    route = route_to("https://example.com", {**PROXY, "no_proxy": f"localhost,{entry}"})
    assert route.proxy
    assert route.invalid_entries == (f"no_proxy contains {entry!r}, which is neither a host nor a network",)
    # The other entries still have their effect, and without a proxy the wrong entry does not matter.
    assert route_to("https://example.com", {**PROXY, "no_proxy": f"{entry},example.com"}).proxy is None
    assert route_to("https://example.com", {"no_proxy": entry}).invalid_entries == ()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://localhost", "https://a.localhost", "http://[::1]:2", "http://127.9.9.9"]
)
def test_this_machine_is_asked_directly(url: str) -> None:
    env = {"HTTP_PROXY": "http://proxy:1", "HTTPS_PROXY": "http://proxy:1", "ALL_PROXY": "http://proxy:1"}
    assert route_to(url, env).description == "directly (this machine itself)"


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({}, "directly (no proxy is set)"),
        ({"HTTP_PROXY": "http://p"}, "directly (no proxy is set)"),
        (PROXY, "through the proxy http://proxy:3128 (HTTPS_PROXY)"),
        ({"https_proxy": "small:1", "HTTPS_PROXY": "http://big:2"}, "through the proxy http://small:1 (https_proxy)"),
        ({"ALL_PROXY": "http://all:1"}, "through the proxy http://all:1 (ALL_PROXY)"),
        ({**PROXY, "NO_PROXY": "example.com"}, "directly (NO_PROXY contains example.com)"),
    ],
)
def test_the_route_is_reported_with_its_reason_without_a_password(env: dict[str, str], told: str) -> None:
    assert route_to("https://example.com", env).description == told


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "127.1", "2130706433", "0x7f000001", "127.0.0.1.", "a.localhost"])
def test_this_machine_is_asked_directly_however_it_is_written(host: str) -> None:
    assert route_to(f"https://{host}:8080", PROXY).proxy is None


@pytest.mark.parametrize("host", ["10.1", "1.2.3.4", "abc", "dead.beef", "[fd00::1]"])
def test_another_machine_is_asked_through_the_proxy_however_it_is_written(host: str) -> None:
    assert route_to(f"https://{host}:8080", PROXY).proxy is not None


@pytest.mark.parametrize("proxy", ["ftp://proxy", "http://", "http://a b", "http://proxy:x", "http://pro\u200bxy"])
def test_a_proxy_that_makes_no_sense_is_named_with_its_variable(proxy: str) -> None:
    with pytest.raises(SettingsError, match="The proxy in HTTPS_PROXY is not valid") as caught:
        route_to("https://example.com", {"HTTPS_PROXY": proxy.replace("//", "//user:canary@")})
    assert "canary" not in str(caught.value)
    assert "\u200b" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_wrong_proxy_of_macos_is_not_said_to_be_a_variable(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(network, "getproxies", lambda: {scheme: "ftp://proxy"})
    monkeypatch.setattr(network, "proxy_bypass", lambda _: False)
    with pytest.raises(
        SettingsError, match="The proxy in the macOS system settings is not valid: ftp://proxy"
    ) as caught:
        route_to(f"{scheme}://example.com", {})
    assert caught.value.advice == f"correct it in the system settings, or set {scheme}_proxy"


def test_the_certificates_are_the_configured_ones_or_the_system_s(tmp_path: Path) -> None:
    context, told = load_trusted({})
    assert told == "the system's and certifi's"
    assert context.verify_mode is ssl.CERT_REQUIRED
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("no certificate")
    for name, value in (("SSL_CERT_FILE", str(bundle)), ("SSL_CERT_FILE", "/none"), ("SSL_CERT_DIR", "/none")):
        with pytest.raises(SettingsError, match="cannot be read") as caught:
            load_trusted({name: value})
        assert f"{name} ({value})" in str(caught.value)


def test_a_bundle_for_another_tool_is_named() -> None:
    assert "REQUESTS_CA_BUNDLE is set, but is not read here" in how_to_trust({"REQUESTS_CA_BUNDLE": "/ca.pem"})
    assert "REQUESTS_CA_BUNDLE" not in how_to_trust({"REQUESTS_CA_BUNDLE": "/ca.pem", "SSL_CERT_FILE": "/ca.pem"})
