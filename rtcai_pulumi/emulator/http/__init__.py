"""HTTP for the emulator: the server, requests, responses and connections."""
