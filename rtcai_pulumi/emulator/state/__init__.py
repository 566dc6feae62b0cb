"""The state of the emulated service: rooms, tasks, and the file that stores them."""
