"""The program only loads event.yaml, which contains the whole configuration."""

from rtcai_pulumi.events import run

run()
