"""What ``rtcai`` and the make targets do about agents and rooms, without a terminal."""
