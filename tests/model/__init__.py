"""An explicit-state model of engine, plugin, service and journal, which runs the product's own settling rules.

How it is built: `world` is what there is: the service's agents, the journal's records, the stack's state, the
processes. `steps` are the atomic steps of a plugin; each is one call of `Journal`, `Client` or `Run`. `verbs` is the
order in which the verbs take them. `commands` is the order in which an engine calls the verbs. Between any two steps
of a process another process may step, or a fault may fall: `moves` says what can happen next, `explore` tries all of
it, shortest sequences first, `walks` tries long histories at random. `promises` says what must hold once everything
is quiet again, and what undisturbed commands must make of such a world; what may never happen at all, a step notes in
`World.wrong`.

How it is kept in step with ``rtcai_pulumi/lifecycle``: each function of `verbs` has the name of the function there,
takes the same steps in the same order, and calls the same rules of ``settling.py`` as ``settling.<rule>``, so that
`rules` can take one out. Whoever moves, adds or drops a call of the journal, the service or `engine_lives` there does
the same here, and gives a new rule a line in `rules.RULES`: without it some scenario must break. A condition in an
SQL statement of ``journal.py`` is a condition in the step of that name.

`Room` has a model of its own, `rooms`: no two processes at once, but the product's verbs themselves.

What it leaves out: several resources in one program, changes of name, `adopt`, other accounts, two machines with a
journal each, a service that has seen a request before and does not tell its task, an engine of whose life nothing can
be told, and what `read` remembers for the rest of its process (`Run.gone`), which spares a request. A first Ctrl-C only
keeps the engine from calling more; that it ends the plugin's waits (`Run.stopping`), and has it take retained agents
for stored (`Journal.stored`), is left out. Processes are numbered as their commands begin, which the product does at a
process's first look at the journal. A preview is known by its verbs: `diff` and `read` may not take a step that writes,
whoever calls them.
"""
