"""Counts are values: copied, and told as names and numbers."""

from ringback.media.io.counts import Counts


def test_a_copy_stands_still() -> None:
    counts = Counts(received=2)
    before = counts.copy()
    counts.received += 1
    counts.refused += 5
    assert (before.received, before.refused) == (2, 0)
    assert (counts.received, counts.refused) == (3, 5)
    assert before == Counts(received=2)


def test_names_and_numbers() -> None:
    told = Counts(foreign=3).as_dict()
    assert told.pop("foreign") == 3
    assert set(told.values()) == {0}
    assert {"received", "sent", "unsent", "early", "refused", "replayed", "unknown"} <= set(told)
