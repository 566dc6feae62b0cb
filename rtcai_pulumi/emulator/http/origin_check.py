"""Allows only pages and programs of this machine.

The emulator listens on the loopback interface, but a page of another site can make a browser on this machine send
requests to it, by a host name that resolves to 127.0.0.1 or directly.
"""

import re
from typing import Final

from starlette.requests import Request

_OWN_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_OWN_SITE: Final = {"same-origin", "none"}
"""``Sec-Fetch-Site`` of what the page itself asks for, and of what a person has typed."""


def foreign(request: Request) -> str | None:
    """Why a request does not come from this machine's own programs and pages; None where it does.

    Clients that are no browsers send neither Origin nor Sec-Fetch-Site, and browsers let no page leave them out.
    """
    host = request.headers.get("host", "")
    # A name of another site that leads here (DNS rebinding): to the browser such a page is of the same origin.
    if not _OWN_HOST.fullmatch(host):
        return "Host: only 127.0.0.1, localhost and [::1] may ask here"
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "Origin: another site may not ask here"
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in _OWN_SITE and not _followed_link(request):
        return "Sec-Fetch-Site: another site may not ask here"
    return None


def _followed_link(request: Request) -> bool:
    """Whether a person has followed a link of another site to look: it sees nothing of the answer and changes nothing.

    A frame is no such thing: what it shows could be overlaid.
    """
    return (
        request.method in {"GET", "HEAD"}
        and request.headers.get("sec-fetch-mode") == "navigate"
        and request.headers.get("sec-fetch-dest") == "document"
    )
