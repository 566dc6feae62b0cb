from pathlib import Path

import pytest

from rtcai_pulumi.journal.location import DatabaseUrl, journal_location, parse_location
from rtcai_pulumi.service.errors import JournalError


@pytest.mark.parametrize(
    ("text", "printable", "url"),
    [
        ("postgresql://me:pw12@db:5432/team", "postgresql://me@db:5432/team", "postgresql://me:pw12@db:5432/team"),
        ("postgres://db", "postgres://db", "postgres://db"),
        ("postgresql://", "postgresql://", "postgresql://"),
        (
            "postgresql://me:pw12@db/team?schema=events&sslmode=verify-full&sslpassword=key1",
            "postgresql://me@db/team?schema=events",
            "postgresql://me:pw12@db/team?sslmode=verify-full&sslpassword=key1",
        ),
        ("postgresql://a,b:1/team?user=me@x&password=pw12", "postgresql://a,b:1/team", None),
        ("postgresql://me@[::1]:5/team", "postgresql://me@[::1]:5/team", None),
        ("postgresql://%2Fvar%2Frun/team", "postgresql://%2Fvar%2Frun/team", None),
    ],
)
def test_a_url_is_shown_without_its_passwords(text: str, printable: str, url: str | None) -> None:
    location = parse_location(text)
    assert isinstance(location, DatabaseUrl)
    assert (str(location), location.url) == (printable, url or text)
    for secret in ("pw12", "key1"):
        assert secret not in f"{location} {location!r}"


def test_a_password_is_known_as_it_is_and_as_the_url_encodes_it() -> None:
    location = parse_location("postgresql://me:a%40b%2Fc@db/team?password=x%3Dy")
    assert isinstance(location, DatabaseUrl)
    assert location.secrets == {"a%40b%2Fc", "a@b/c", "x%3Dy", "x=y"}


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:zq/zq@db/team",
        "postgresql://me:zq?zq@db/team",
        "postgresql://me:zq@zq@db/team",
        "postgresql://me:zq",
        "Postgresql://me:zq@db/team",
        "postgresql+psycopg://me:zq@db/team",
        "mysql://me:zq@db/team",
        "postgresql://me:1234?zq@db/team",
        "postgresql:/me:zq@db/team",
        "host=db user=me password=zq dbname=team",
        "postgresql://me:zq@db/team?schema=Zq-zq",
    ],
)
def test_a_url_that_is_not_valid_is_an_error_that_quotes_nothing_of_it(text: str) -> None:
    with pytest.raises(JournalError, match="URL of the journal is not valid") as raised:
        journal_location({"RTCAI_JOURNAL": text, "HOME": "/h"})
    assert "zq" not in str(raised.value).lower()


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"RTCAI_JOURNAL": "/a/j.db", "XDG_STATE_HOME": "/x"}, "/a/j.db"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/rtcai/journal.db"),
        ({"HOME": "/h"}, "/h/.local/state/rtcai/journal.db"),
        ({"XDG_STATE_HOME": "state", "HOME": "/h"}, "/h/.local/state/rtcai/journal.db"),
    ],
)
def test_the_journal_is_the_user_s(env: dict[str, str], expected: str) -> None:
    assert journal_location(env) == Path(expected)


@pytest.mark.parametrize("path", ["journal.db", "../state/journal.db"])
def test_a_relative_path_is_refused(path: str) -> None:
    with pytest.raises(JournalError, match="RTCAI_JOURNAL is a relative path"):
        journal_location({"RTCAI_JOURNAL": path, "HOME": "/h"})
