import pytest

from rtcai_pulumi.service.errors import SettingsError
from rtcai_pulumi.service.settings import (
    ROOM_ENDPOINT,
    TASK_ENDPOINT,
    Settings,
    how_to_set,
    missing_credentials,
    resolve,
)

CREDENTIALS = {"RTCAI_APP_KEY": "key", "RTCAI_APP_SECRET": "secret"}


def nothing(_: str) -> None:
    return None


def test_the_environment_comes_before_the_config() -> None:
    config = {"rtcai:appKey": "config key", "rtcai:appSecret": "config secret", "rtcai:timeout": "3"}
    settings = resolve({"RTCAI_APP_KEY": "key"}, config.get)
    assert (settings.app_key, settings.app_secret, settings.timeout) == ("key", "config secret", 3)


def test_the_defaults_are_the_documented_hosts() -> None:
    settings = resolve(CREDENTIALS, nothing)
    assert (settings.endpoint, settings.room_endpoint, settings.timeout) == (TASK_ENDPOINT, ROOM_ENDPOINT, 10)


def test_another_endpoint_serves_the_room_api_too() -> None:
    settings = resolve({**CREDENTIALS, "RTCAI_ENDPOINT": "http://127.0.0.1:8907/"}, nothing)
    assert settings.endpoint == settings.room_endpoint == "http://127.0.0.1:8907"


def test_the_room_endpoint_can_be_set_by_itself() -> None:
    settings = resolve({**CREDENTIALS, "RTCAI_ROOM_ENDPOINT": "https://rtc-ap.yunxinapi.com"}, nothing)
    assert settings.endpoint == TASK_ENDPOINT
    assert settings.room_endpoint == "https://rtc-ap.yunxinapi.com"


@pytest.mark.parametrize(
    ("env", "missing"),
    [
        ({}, ["RTCAI_APP_KEY", "RTCAI_APP_SECRET"]),
        ({"RTCAI_APP_KEY": " "}, ["RTCAI_APP_KEY", "RTCAI_APP_SECRET"]),
        ({"RTCAI_APP_KEY": "key"}, ["RTCAI_APP_SECRET"]),
        ({"RTCAI_APP_SECRET": "secret"}, ["RTCAI_APP_KEY"]),
        ({"RTCAI_APP_KEY": "key", "RTCAI_TOKEN": "token"}, ["RTCAI_UID"]),
        ({"RTCAI_APP_KEY": "key", "RTCAI_TOKEN": "token", "RTCAI_UID": "1"}, []),
        (CREDENTIALS, []),
    ],
)
def test_what_is_missing_is_named(env: dict[str, str], missing: list[str]) -> None:
    assert [name.variable for name in missing_credentials(env, nothing)] == missing


@pytest.mark.parametrize(
    ("env", "missing"),
    [
        ({"RTCAI_APP_KEY": "key", "RTCAI_TOKEN": "token"}, "RTCAI_UID"),
        ({"RTCAI_TOKEN": "token", "RTCAI_UID": "1"}, "RTCAI_APP_KEY"),
        ({"RTCAI_TOKEN": "token"}, "RTCAI_APP_KEY and RTCAI_UID"),
        ({"RTCAI_APP_SECRET": "secret", "RTCAI_TOKEN": "token"}, "RTCAI_APP_KEY"),
    ],
)
def test_only_what_is_missing_is_to_be_set(env: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(env, nothing)
    assert caught.value.summary == f"RTC AI credentials are not set: {missing}."
    assert caught.value.advice == f"set {missing} in the environment"
    assert [name.variable for name in caught.value.settings] == missing.split(" and ")
    assert how_to_set(caught.value.settings).startswith(f"set {missing} in the environment, or run `pulumi config set")


def test_missing_credentials_say_both_ways_to_set_them() -> None:
    with pytest.raises(SettingsError) as caught:
        resolve({}, nothing)
    assert "RTCAI_APP_SECRET in the environment" in str(caught.value)
    assert "pulumi config set --secret rtcai:appSecret" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "rtc.example",
        "ftp://rtc.example",
        "https://u:p@rtc.example",
        "http://[",
        "https://x?a=1",
        "http://h:abc",
        "http://h/#x",
    ],
)
@pytest.mark.parametrize("timeout", ["0", "-1", "soon", "inf", "nan"])
def test_all_wrong_settings_are_named_together_without_their_values(url: str, timeout: str) -> None:
    env = {**CREDENTIALS, "RTCAI_ENDPOINT": url, "RTCAI_ROOM_ENDPOINT": url, "RTCAI_TIMEOUT": timeout}
    with pytest.raises(SettingsError) as caught:
        resolve(env, nothing)
    for name in ("RTCAI_ENDPOINT", "RTCAI_ROOM_ENDPOINT", "RTCAI_TIMEOUT"):
        assert name in caught.value.summary
    assert url not in str(caught.value)


@pytest.mark.parametrize("name", ["RTCAI_APP_KEY", "RTCAI_APP_SECRET", "RTCAI_TOKEN", "RTCAI_UID"])
def test_a_line_break_in_a_credential_is_named_and_never_shown(name: str) -> None:
    env = {**CREDENTIALS, name: "wrapped-by\nsome-tool"}
    with pytest.raises(SettingsError, match=f"{name} contains a line break") as caught:
        resolve(env, nothing)
    assert "wrapped-by" not in str(caught.value)
    assert "correct these settings" in str(caught.value)


def test_a_blank_variable_does_not_hide_the_config() -> None:
    assert resolve({**CREDENTIALS, "RTCAI_APP_SECRET": "  "}, {"rtcai:appSecret": "s"}.get).app_secret == "s"


def test_an_error_carries_the_settings_it_names_and_says_where_to_set_them() -> None:
    with pytest.raises(SettingsError) as caught:
        resolve({**CREDENTIALS, "RTCAI_TOKEN": "a\nb", "RTCAI_MAX_RPS": "0"}, nothing)
    error = caught.value
    assert [(name.variable, name.config_key) for name in error.settings] == [
        ("RTCAI_TOKEN", "rtcai:token"),
        ("RTCAI_MAX_RPS", "rtcai:maxRps"),
    ]
    in_config = "`pulumi config set --secret rtcai:token …`, `pulumi config set rtcai:maxRps …`"
    assert str(error) == f"{error.describe(names_config=False)}\n  in stack config: {in_config}"
    assert "rtcai:" not in error.describe(names_config=False)


def test_secrets_are_not_in_the_settings_text() -> None:
    assert "hush" not in repr(Settings("key", app_secret="hush", token="hush"))
