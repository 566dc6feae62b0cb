"""A local stand-in for the service: create and close in both flavours, the room API, and an admin API for inspection.

In tests, in a thread of this process::

    with Emulator() as emulator:
        ...  # RTCAI_ENDPOINT=emulator.url
        assert [task["state"] for task in emulator.tasks()] == ["running"]

As a command: ``rtcai emulator``. ``docs/emulator.md`` explains how to inject faults and how to test crashes.
If the service's page is silent about a detail, ``docs/differences.md`` says what the emulator does.
"""

try:
    from rtcai_pulumi.emulator.emulator import Emulator
    from rtcai_pulumi.emulator.thread import Hold
except ModuleNotFoundError as _missing:
    if _missing.name not in {"jinja2", "starlette", "uvicorn"}:
        raise
    _sentence = f'the emulator needs {_missing.name}: pip install "rtcai-pulumi[emulator]"'
    raise ModuleNotFoundError(_sentence, name=_missing.name) from None

__all__ = ["Emulator", "Hold"]
