"""Allows only pages and programs of this machine.

The emulator listens on the loopback interface, but a page of another site can make a browser on this machine send
requests to it, by a host name that resolves to 127.0.0.1 or directly.
"""

import re
from typing import Final

from starlette.requests import Request

_OWN_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_OWN_SITE: Final = {"same-origin", "none"}
"""``Sec-Fetch-Site`` of requests from the page itself, and of addresses that a user has typed."""


def find_foreign_origin(request: Request) -> str | None:
    """Return why a request does not come from this machine's own programs and pages; None if it does.

    Clients that are not browsers send neither Origin nor Sec-Fetch-Site. In a browser, no page can leave them out.
    """
    host = request.headers.get("host", "")
    # The name of another site that resolves to this address (DNS rebinding): the browser treats such a page as
    # same-origin.
    if not _OWN_HOST.fullmatch(host):
        return "Host: must be 127.0.0.1, localhost or [::1]"
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "Origin: requests from other sites are not allowed"
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in _OWN_SITE and not _is_followed_link(request):
        return "Sec-Fetch-Site: requests from other sites are not allowed"
    return None


def _is_followed_link(request: Request) -> bool:
    """Whether a user has followed a link from another site: that site cannot read the answer and cannot change
    anything.

    A frame does not count, because another page could be placed over its content.
    """
    return (
        request.method in {"GET", "HEAD"}
        and request.headers.get("sec-fetch-mode") == "navigate"
        and request.headers.get("sec-fetch-dest") == "document"
    )
