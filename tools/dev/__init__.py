"""`make up`, `preview`, `down` and `status`: one checkout, its two stacks `dev` and `live`, and its emulator.

What runs where:

    __main__.py   arguments, signals, exit codes
    commands.py   what each target does, in order
    target.py     which stack: `dev` on the emulator or `live` on the service; its folder and environment
    engine.py     the Pulumi CLI: stacks, state, runs, locks
    journal.py    the agents that the provider's journal knows and the state does not
    emulator.py   the emulator in the background: start, find, stop
    processes.py  what this machine knows of a process: is it ours, end it
    agents.py     the agents in a stack's state, and the table
    live.py       the room's name and the question before the real service is used
    refusal.py    the one error that the user sees
"""
