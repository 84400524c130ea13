#!/bin/sh
# Prints the interpreter to make .venv with: the first that Ringback supports, in the order of the arguments, or one that
# is clearly faster. Distributions build theirs with profiles; one that was built by hand without them costs half as much
# again for each call.
probe='
import sys
if not (3, 11) <= sys.version_info[:2] < (3, 14):
    sys.exit(1)
import ensurepip, os, sysconfig, time, venv
best = 1.0
for _ in range(5):
    start = time.perf_counter()
    for number in range(20000):
        words = ("Via: a;branch=z9hG4bK%d" % number).split(";")
        name, _, value = words[1].partition("=")
        found = {name: value}.get("branch")
    best = min(best, time.perf_counter() - start)
# Without its headers nothing can be compiled.
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    best *= 2
print(int(best * 1000000))
'
chosen=
least=
for candidate in "$@"; do
    path=$(command -v "$candidate" 2>/dev/null) || continue
    cost=$("$path" -c "$probe" 2>/dev/null) || continue
    if [ -z "$chosen" ]; then
        chosen=$path
        least=$cost
    elif [ $((cost * 5)) -lt $((least * 4)) ]; then
        echo "$path takes ${cost} µs for what takes $chosen ${least} µs; \`make PYTHON=...\` chooses otherwise." >&2
        chosen=$path
        least=$cost
    fi
done
echo "$chosen"
