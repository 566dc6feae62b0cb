"""A setting has one definition; everything else agrees with it."""

import inspect
from typing import get_type_hints

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from rtcai_pulumi.cli.commands.emulator import emulator as command
from rtcai_pulumi.config.emulator import (
    ENVIRONMENT_VARIABLES,
    OFF_OPTIONS,
    ChangeableSettings,
    ChangeableSettingsArguments,
    EmulatorSettings,
    EmulatorSettingsArguments,
)
from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.emulator.serve import settings_from
from tests.cli.without import run_without

FIELDS = EmulatorSettings.model_fields


@pytest.mark.parametrize(
    ("model", "arguments"),
    [(ChangeableSettings, ChangeableSettingsArguments), (EmulatorSettings, EmulatorSettingsArguments)],
)
def test_the_keywords_for_type_checkers_are_the_fields(model: type[BaseModel], arguments: type) -> None:
    assert get_type_hints(arguments) == {name: field.annotation for name, field in model.model_fields.items()}


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_has_a_default_and_a_description(name: str) -> None:
    assert FIELDS[name].default is not PydanticUndefined
    assert FIELDS[name].description


def test_every_setting_is_an_option_or_an_environment_variable() -> None:
    options = [OFF_OPTIONS[name].name if name in OFF_OPTIONS else name for name in FIELDS]
    expected = {name for name in options if name not in ENVIRONMENT_VARIABLES}
    assert inspect.signature(command).parameters.keys() - {"port", "state", "seed", "journal", "log_level"} == expected


def test_help_of_the_class_lists_every_setting_with_its_default() -> None:
    parameters = inspect.signature(Emulator).parameters
    assert list(parameters) == ["port", "state", "clock", "read_ends", *FIELDS]
    assert all(parameters[name].default == field.default for name, field in FIELDS.items())


def test_a_misspelt_keyword_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(TypeError, match="'dedpu'; did you mean 'dedup'"):
        Emulator(dedpu="replay")  # type: ignore[call-arg]  # the mistake that is tested


@pytest.mark.parametrize("name", ["room_missing_code", "task_missing_code"])
def test_a_missing_thing_cannot_have_the_code_of_success(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: .*201"):
        Emulator(**{name: 200})  # type: ignore[arg-type]  # the mistake that is tested


def test_the_environment_names_the_accounts() -> None:
    environment = {
        "RTCAI_EMULATOR_APP_KEY": "first",
        "RTCAI_EMULATOR_APP_SECRET": "",
        "RTCAI_EMULATOR_ACCOUNTS": "second=s",
    }
    settings = settings_from(environment, dedup="replay")
    assert (settings.dedup, settings.secrets) == ("replay", {"first": "emulator-app-secret", "second": "s"})


def test_no_secret_is_in_the_text_of_the_settings() -> None:
    settings = settings_from({"RTCAI_EMULATOR_APP_SECRET": "hidden-1", "RTCAI_EMULATOR_ACCOUNTS": "key=hidden-2"})
    assert "hidden" not in repr(settings)


def test_the_options_are_listed_without_the_extra() -> None:
    run = run_without("starlette", "from rtcai_pulumi.cli import main; main()", "emulator", "--help")
    assert (run.returncode, "--max-rps" in run.stdout) == (0, True)
