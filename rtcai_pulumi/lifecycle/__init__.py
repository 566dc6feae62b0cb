"""What each verb of an infrastructure engine means for a conversation: check, diff, create, read, delete.

Knows nothing of Pulumi: a door (`rtcai_pulumi.provider`) serves these functions to an engine.
"""
