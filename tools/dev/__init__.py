"""`make up`, `preview`, `down` and `status`: one checkout, its two stacks `dev` and `live`, and its emulator.

Modules:

    __main__.py   arguments, signals, exit codes
    commands.py   what each target does, in order
    target.py     the stack: `dev` on the emulator or `live` on the service; its folder and environment
    engine.py     the Pulumi CLI: stacks, state, runs, locks
    journal.py    the agents that are in the provider's journal and not in the state
    emulator.py   the emulator in the background: start, find, stop
    processes.py  finds a process on this machine, checks that it is ours, ends it
    agents.py     the agents in a stack's state, and the table
    live.py       the room's name and the confirmation before the real service is used
    refusal.py    the one error that the user sees
"""
