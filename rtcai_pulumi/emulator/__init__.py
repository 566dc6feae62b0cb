"""A local stand-in of the service: create and close in both flavours, the room API, and an own path to look inside.

For tests, in a thread of this process::

    with Emulator() as emulator:
        ...  # RTCAI_ENDPOINT=emulator.url
        assert [task["state"] for task in emulator.tasks()] == ["running"]

As a command: ``rtcai emulator``. How to make it fail, and how to crash against it: ``docs/emulator.md``. Where the
service's page is silent, ``docs/differences.md`` says what is done here.
"""

try:
    from rtcai_pulumi.emulator.emulator import Emulator, Hold
except ModuleNotFoundError as _missing:
    if _missing.name not in {"jinja2", "starlette", "uvicorn"}:
        raise
    _sentence = f'the emulator needs {_missing.name}: pip install "rtcai-pulumi[emulator]"'
    raise ModuleNotFoundError(_sentence, name=_missing.name) from None

__all__ = ["Emulator", "Hold"]
