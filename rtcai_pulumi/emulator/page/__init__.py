"""The live page at the emulator's root: rooms with their agents on a time line, faults, and requests as they arrive.

The server renders every piece (`templates/`): first all of them into one page, then each changed piece as a server-sent
event. The script (`static/page.js`) puts a piece in its place and does not depend on its content.

Names, prompts and messages can be any text: the templates escape all of it, and the page runs no script but its own.
"""
