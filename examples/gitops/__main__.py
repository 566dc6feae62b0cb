"""The rooms of event.yaml; a pull request that changes that file is all that a change takes."""

from rtcai_pulumi.events import run

run("event.yaml")
