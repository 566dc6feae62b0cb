"""What the emulated service remembers: rooms, tasks, and the file that keeps them."""
