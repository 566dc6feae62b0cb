"""What each operation of an infrastructure engine does for a conversation: check, diff, create, read, delete.

This package does not import Pulumi: the adapter `rtcai_pulumi.plugin` serves these functions to the engine.
"""
