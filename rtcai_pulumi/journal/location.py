"""Where the journal is: the path of a file, or the URL of a database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import unquote

from rtcai_pulumi.service.errors import JournalError

_SCHEMES: Final = ("postgresql", "postgres")
_HOST: Final = r"(?:\[[^\]@/?]*\]|[^:,@/?]*)(?::\d*)?"
_URL: Final = re.compile(
    r"(?P<scheme>[a-z]+)://"
    r"(?:(?P<user>[^:@/?]*)(?::(?P<password>[^@/?]*))?@)?"
    rf"(?P<place>{_HOST}(?:,{_HOST})*(?:/[^@?]*)?)"
    r"(?:\?(?P<query>(?:[^&=]+=[^&]*&?)*))?"
)
_LOOKS_LIKE_A_DATABASE: Final = re.compile(r"://|^\s*postgres(?:ql)?:|\b(?:host|user|password|dbname|service)\s*=")
"""A text that no one means as a path; it may have a password, so it must not be taken for one and printed."""
_SECRET_PARAMETERS: Final = frozenset({"password", "sslpassword"})
_SCHEMA: Final = "schema"
_DEFAULT_SCHEMA: Final = "rtcai"
_SCHEMA_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The URL of a PostgreSQL database, as libpq reads it. As text it has no password.

    The parameter ``schema`` is ours: the schema that has the journal's tables. The default is ``rtcai``.
    """

    url: str = field(repr=False)
    """The URL for libpq; it may have a password."""
    printable: str
    """The URL for messages, without a password."""
    schema: str
    secrets: frozenset[str] = field(repr=False)
    """The passwords in the URL, as they are and as the URL encodes them: no message may have them."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a URL. No error quotes it: a password that is not encoded may be in any part of it.

        Raises:
            JournalError: it is not valid.
        """
        found = _URL.fullmatch(text)
        if found is None or found["scheme"] not in _SCHEMES:
            advice = "use the form postgresql://user:password@host:5432/database, and percent-encode what is special"
            raise JournalError("The URL of the journal is not valid.", advice=advice)
        parameters = [parameter.partition("=") for parameter in (found["query"] or "").split("&") if parameter]
        schema = next((unquote(value) for name, _, value in parameters if name == _SCHEMA), _DEFAULT_SCHEMA)
        if not _SCHEMA_NAME.fullmatch(schema):
            advice = "use small letters, digits and underscores, such as ?schema=rtcai"
            raise JournalError("The name of the schema in the URL of the journal is not valid.", advice=advice)
        query = "&".join("".join(parameter) for parameter in parameters if parameter[0] != _SCHEMA)
        passwords = [found["password"] or ""]
        passwords += [value for name, _, value in parameters if name in _SECRET_PARAMETERS]
        user = f"{found['user']}@" if found["user"] else ""
        of_schema = "" if schema == _DEFAULT_SCHEMA else f"?schema={schema}"
        return cls(
            url=text.partition("?")[0] + (f"?{query}" if query else ""),
            printable=f"{found['scheme']}://{user}{found['place']}{of_schema}",
            schema=schema,
            secrets=frozenset(form for password in passwords for form in (password, unquote(password)) if form),
        )

    def __str__(self) -> str:
        return self.printable


Location = Path | DatabaseUrl


def parse_location(text: str) -> Location:
    """The location that a text names: a URL, or the path of a file.

    Raises:
        JournalError: the URL is not valid.
    """
    return DatabaseUrl.parse(text) if _LOOKS_LIKE_A_DATABASE.search(text) else Path(text).expanduser()


def journal_location(env: Mapping[str, str]) -> Location:
    """Where the journal is: ``RTCAI_JOURNAL``, or ``rtcai/journal.db`` in the user's state folder.

    The engine and `rtcai` run in different folders, so a relative path would point to two different files. For this
    reason a path in ``RTCAI_JOURNAL`` must be absolute, and a relative ``XDG_STATE_HOME`` is ignored, as the XDG Base
    Directory Specification requires.

    Raises:
        JournalError: the path is relative; or the URL is not valid; or no path can be determined, because HOME is not
            set and the system knows no home folder for this user.
    """
    try:
        if value := env.get("RTCAI_JOURNAL"):
            location = parse_location(value)
            if isinstance(location, Path) and not location.is_absolute():
                message = f"RTCAI_JOURNAL is a relative path ({value}), which would be a different file in each folder."
                raise JournalError(message, advice=f"use an absolute path, such as {Path('/var/lib/rtcai') / location}")
            return location
        state = Path(env.get("XDG_STATE_HOME") or "")
        if not state.is_absolute():
            state = Path(env.get("HOME") or Path.home()) / ".local" / "state"
    except RuntimeError:
        message = "The location of the journal is unknown: HOME is not set, and this user has no home folder."
        raise JournalError(message, advice="set RTCAI_JOURNAL to the absolute path of a file") from None
    return state / "rtcai" / "journal.db"
