#!/usr/bin/env bash
# Stop every agent of a stack, and check that none is left, neither in the state nor in the journal.
# usage: teardown.sh STACK
set -euo pipefail
stack=$1
pulumi destroy --yes --stack "$stack"
# Agents of killed runs are in no state, so `destroy` calls no provider for them.
swept=0
rtcai sweep --stack "$stack" --yes || swept=$?
if [ "$swept" != 0 ]; then
    # 3: a create was lost or is not in the journal, a run is still active, or the journal has agents of another backend.
    echo "teardown: agents of $stack may be left; see above" >&2
    exit "$swept"
fi
# `ls` lists every agent of the journal, and agents of other stacks may be marked too: retained or refused.
left=$(rtcai ls --stack "$stack" --json | python3 -c '
import json, re, sys
*path, stack = sys.argv[1].split("/")
in_file = re.search(r"^name:\s*[\"\x27]?([^\"\x27\s]+)", open("Pulumi.yaml", encoding="utf-8").read(), re.MULTILINE)
project = path[1] if len(path) == 2 else in_file and in_file[1]
of_this_stack = {"in state", "unclaimed", "only in state"}
print(sum(
    agent["mark"] in of_this_stack
    or agent["mark"] is not None and agent["stack"] == stack and agent["project"] == project
    for agent in json.load(sys.stdin)
))' "$stack")
if [ "$left" != 0 ]; then
    echo "teardown: $left agents of $stack may be left; see: rtcai ls --stack $stack" >&2
    exit 1
fi
echo "teardown: no agent of $stack is left"
