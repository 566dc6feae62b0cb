"""The RTC AI service over HTTP: settings, signing, the client, the room API and the errors.

Knows nothing of Pulumi. Import the module that you need: only `client` loads an HTTP library.
"""
