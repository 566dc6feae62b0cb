"""The rooms of event.yaml: a change is a pull request that edits this file."""

from rtcai_pulumi.events import run

run("event.yaml")
