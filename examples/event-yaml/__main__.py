"""Everything that is to be said stands in event.yaml."""

from rtcai_pulumi.events import run

run()
