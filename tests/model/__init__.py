"""An explicit-state model of engine, plugin, service and journal. It runs the product's own recovery rules.

Structure:

- `world` holds everything that exists: the service's agents, the journal's records, the stack's state, the processes.
- `steps` are the atomic steps of a plugin. Each is one call of `Journal`, `Client` or `Run`.
- `verbs` defines the order in which the verbs take these steps.
- `commands` defines the order in which an engine calls the verbs.
- ``rtcai sweep --over`` is a process without an engine. In the scenarios about the end of an agent it begins at any
  moment, and so does the moment at which the end passes.
- `moves` lists what can happen next. Between any two steps of a process, another process can take a step or a fault
  can occur.
- `explore` tries all moves, the shortest sequences first. `walks` tries long random histories.
- `promises` checks a world in which nothing runs any more, and what undisturbed commands make of it. If a step does
  something that must never happen, it writes this to `World.wrong`.

How the model follows ``rtcai_pulumi/lifecycle``: each function of `verbs` has the same name as the function there,
takes the same steps in the same order, and calls the same rules of ``recovery_rules.py`` and ``end_time.py``. It calls
them as ``recovery_rules.<rule>``, so `rules` can remove one. If you move, add or remove a call of the journal, of the
service or of `engine_lives` there, make the same change here. A new rule also needs a line in `rules.RULES`: without
the rule, some scenario must break a promise. A condition in an SQL statement of ``journal.py`` is a condition in the
step of the same name.

`Room` has a model of its own, `rooms`. That model never has two processes at the same time, but it runs the product's
verbs themselves.

The model leaves out:

- several resources in one program, changes of name, `adopt`, other accounts, and two machines with a journal each;
- the rooms of an event, which a sweep ends when no one is left in them;
- a service that recognizes a repeated request but does not return its task;
- an engine of which the plugin cannot find out whether it is alive;
- what `read` remembers for the rest of its process (`Run.gone_tasks`), which only saves a request;
- two effects of a first Ctrl-C: it ends the plugin's waits (`Run.stopping`), and the plugin then records retained
  agents as stored (`Journal.record_stored`). In the model, a first Ctrl-C only stops the engine from making more calls.

Processes are numbered in the order in which their commands begin. In the product, a process gets its number when it
first reads the journal. The model identifies a preview by its verbs: `diff` and `read` must not take a step that
writes, no matter which command calls them.
"""
