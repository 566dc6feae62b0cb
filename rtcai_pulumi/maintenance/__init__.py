"""The work of ``rtcai`` and the make targets on agents and rooms, without a terminal."""
