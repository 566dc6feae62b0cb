"""The emulated API: tasks, rooms, authentication, deduplication and rate limits."""
