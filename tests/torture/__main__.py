"""Print the table, each line as this tree bears it out: `python -m tests.torture`."""

import os
import sys

# Say what the sources do, as the tests do.
os.environ.setdefault("RINGBACK_PURE", "1")

from tests.torture.stage import observed
from tests.torture.verdicts import TITLE, VERDICTS


def main() -> int:
    failures = 0
    sys.stdout.write(f"{TITLE}\n")
    for verdict in VERDICTS:
        found = observed(verdict)
        right = found == (verdict.parsed, verdict.trusted, verdict.stranger)
        failures += not right
        sys.stdout.write(f"{'ok  ' if right else 'FAIL'} {verdict}\n")
        if not right:
            sys.stdout.write(f"     parser, trusted, stranger: {', '.join(found)}\n")
    counts = {number: sum(verdict.rfc_number == number for verdict in VERDICTS) for number in (4475, 5118)}
    total = " + ".join(f"{count} of RFC {number}" for number, count in counts.items())
    sys.stdout.write(f"{total}; {failures} not as the table has it\n")
    return 1 if failures else 0


sys.exit(main())
