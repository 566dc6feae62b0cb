"""The live page at the emulator's root: rooms with their agents on a time line, faults, and the requests as they come.

The server renders every piece (`templates/`), first all of them into one page, then those that have changed, one by
one, as server-sent events. The script (`static/page.js`) puts a piece where it belongs, and knows nothing of what is in
it.
Names, prompts and messages are anyone's text: templates escape all of it, and the page runs no script but its own.
"""
