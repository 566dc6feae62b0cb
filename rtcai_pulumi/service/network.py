"""How a request leaves this machine: directly or through a proxy, and which certificates are trusted.

Only this module reads the environment variables for this. A loopback address is always connected directly. For other
addresses the proxy is that of ``https_proxy`` or ``http_proxy``, by the endpoint's scheme, or else that of
``all_proxy``. Each name may be in lower or upper case; lower case has priority. ``no_proxy`` has the same meaning as
for curl and Go:

===========================  ====================================================
``*``                        every host
``example.com``              that host, and every host below it
``.example.com``             every host below it; ``*.example.com`` means the same
``10.1.2.3``, ``[::1]``      that address; the brackets may be left out
``10.0.0.0/8``, ``fd00::/8``  every address of the network
``example.com:8443``         the host at that port only
===========================  ====================================================

Entries are separated by commas or spaces. Names are compared as they are written; no DNS query is made.
"""

import ipaddress
import os
import re
import socket
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi  # the HTTP library depends on it

from rtcai_pulumi.service.errors import SettingsError
from rtcai_pulumi.service.printable import printable

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SCHEMES: Final = ("http", "https", "socks5", "socks5h")
_PORTS: Final = {"http": 80, "https": 443}
_NAME: Final = re.compile(r"\*?\.?[^\s/:*\[\]@]+\.?")
_OTHER_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


@dataclass(frozen=True, slots=True)
class Route:
    """The way that the requests to one endpoint take."""

    proxy: str | None = None
    """The proxy's URL, which may contain a password; None means a direct connection."""
    reason: str = "no proxy is set"
    """The reason: the variable, or why no variable applies."""
    invalid_entries: tuple[str, ...] = ()
    """Entries of ``no_proxy`` that cannot be parsed, each with its variable."""

    @property
    def description(self) -> str:
        """The route in words, without a password."""
        if self.proxy is None:
            return f"directly ({self.reason})"
        return f"through the proxy {drop_user(self.proxy)} ({self.reason})"


def route_to(url: str, env: Mapping[str, str]) -> Route:
    """The route of requests to an endpoint.

    Args:
        url: the endpoint, with its scheme and host.
        env: the environment.

    Raises:
        SettingsError: the proxy's address is not valid.
    """
    parts = urlsplit(url)
    host, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
    if is_loopback(host):
        return Route(reason="this machine itself")
    name, proxy = _proxy_for(parts.scheme, env)
    if not proxy:
        return Route()
    bypass, entries = _read_variable(env, "no_proxy")
    invalid = []
    for entry in re.split(r"[,\s]+", entries):
        verdict = _matches(entry, host, port) if entry else False
        if verdict:
            return Route(reason=f"{bypass} contains {entry}")
        if verdict is None:
            invalid.append(f"{bypass} contains {entry!r}, which is neither a host nor a network")
    if not entries and name == _SYSTEM and proxy_bypass(host):
        return Route(reason=f"{_SYSTEM} exclude {host}")
    return Route(_check_proxy(name, proxy, parts.scheme), name, tuple(invalid))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: ``localhost``, a name below it, a loopback address, or an unspecified address.

    An address may be written in an old short form (``127.1``), because a connection to it goes to the same place.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host) or _old_address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def load_trusted(env: Mapping[str, str]) -> tuple[ssl.SSLContext, str]:
    """The trusted certificates, and a text that says where they come from.

    If SSL_CERT_FILE or SSL_CERT_DIR is set, only their certificates are trusted, as with Go and OpenSSL; if not, those
    of the system and of the package certifi.

    Raises:
        SettingsError: a variable names a file or folder that cannot be read.
    """
    file, folder = env.get("SSL_CERT_FILE") or None, env.get("SSL_CERT_DIR") or None
    variables = [f"{name} ({value})" for name, value in (("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder)) if value]
    try:
        if folder and not os.path.isdir(folder):  # noqa: PTH112  OpenSSL gets the string unchanged
            raise NotADirectoryError(folder)
        if variables:
            context = ssl.create_default_context(cafile=file, capath=folder)
        else:
            context = ssl.create_default_context()
            context.load_verify_locations(cafile=certifi.where())
    except (OSError, ValueError) as error:  # an ssl.SSLError is an OSError
        summary = f"The certificates of {' and '.join(variables) or 'the system'} cannot be read: {_describe(error)}."
        advice = "set SSL_CERT_FILE to a file of certificates in PEM format, or unset the variable"
        raise SettingsError(summary, advice=advice) from None
    return context, " and ".join(variables) or "the system's and certifi's"


def how_to_trust(env: Mapping[str, str]) -> str:
    """Advice for a certificate that is not trusted."""
    advice = "if the authority is your own, set SSL_CERT_FILE to its certificates (PEM), or add them to the system's"
    others = [name for name in _OTHER_BUNDLES if env.get(name)]
    if others and not env.get("SSL_CERT_FILE"):
        advice += f"; {others[0]} is set, but is not read here: set SSL_CERT_FILE to the same file"
    return advice


def drop_user(url: str) -> str:
    """A URL without user and password."""
    head, _, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://{tail}" if head else url


_SYSTEM: Final = "the macOS system settings"


def _proxy_for(scheme: str, env: Mapping[str, str]) -> tuple[str, str]:
    """The variable that names the proxy for a scheme, and its value."""
    for key in (f"{scheme}_proxy", "all_proxy"):
        name, value = _read_variable(env, key)
        if value:
            return name, value
    if sys.platform == "darwin" and not any(_read_variable(env, f"{each}_proxy")[1] for each in ("http", "https")):
        return _SYSTEM, getproxies().get(scheme, "")
    return "", ""


def _read_variable(env: Mapping[str, str], key: str) -> tuple[str, str]:
    """A variable that may be in lower or upper case, and its value."""
    for name in (key, key.upper()):
        if value := env.get(name, "").strip():
            return name, value
    return key.upper(), ""


def _check_proxy(name: str, proxy: str, scheme: str) -> str:
    """The proxy's URL; without a scheme it is an HTTP proxy, as for curl.

    Args:
        name: the variable that has it.
        proxy: its value.
        scheme: the endpoint's scheme.

    Raises:
        SettingsError: it is not a valid URL of a proxy.
    """
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme.lower() in _SCHEMES and bool(parts.hostname) and parts.port != 0
        is_valid = is_valid and url.isprintable() and " " not in url
    except ValueError:
        is_valid = False
    if not is_valid:
        summary = f"The proxy in {name} is not valid: {printable(drop_user(url))}."
        advice = f"write it as http://host:port (schemes: {', '.join(_SCHEMES)}), or unset the variable"
        if name == _SYSTEM:
            advice = f"correct it in the system settings, or set {scheme}_proxy"
        raise SettingsError(summary, advice=advice)
    return url


def _matches(entry: str, host: str, port: int) -> bool | None:
    """Whether an entry of ``no_proxy`` matches a host; None if the entry cannot be parsed."""
    if entry == "*":
        return True
    name, only, network = entry, None, _network(entry)
    if network is None:
        name, only = _with_port(entry)
        network = _network(name)
    if network is None and not _NAME.fullmatch(name):
        return None
    if only not in {None, port}:
        return False
    return _is_named(host.lower(), name.lower()) if network is None else _is_in(_address(host), network)


def _is_named(host: str, name: str) -> bool:
    name = name.removeprefix("*").rstrip(".")
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _is_in(address: _Address | None, network: _Network) -> bool:
    return address is not None and address in network


def _with_port(entry: str) -> tuple[str, int | None]:
    """An entry without its port, and the port, or None if it has no port."""
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]+):(\d{1,5})", entry)
    return (match[1], int(match[2])) if match else (entry, None)


def _network(entry: str) -> _Network | None:
    """The addresses of an entry, if it is an address or a network; else None."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](/\d+)?", entry)
    bare = f"{bracketed[1]}{bracketed[2] or ''}" if bracketed else entry
    try:
        return ipaddress.ip_network(bare, strict=False)
    except ValueError:
        return None


def _address(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _old_address(host: str) -> _Address | None:
    """An IPv4 address of fewer than four numbers, or in hexadecimal."""
    if not re.fullmatch(r"[0-9a-fA-FxX.]+", host):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _describe(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
