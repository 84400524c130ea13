"""Proxies and telephones over networks that lose, double, delay and reorder, some hundred seeds of them.

What has to be true stands in `tests.sip.world`: at each step one final response for each server transaction, and no
refusal by a proxy that a 2xx had come back to; in the end a final state for every call, an ACK and a BYE end to end for
every 2xx that reached its caller, no telephone that rings on, and no transaction or timer left in any stack.
"""

import pytest

from ringback.sip.message import Response
from tests.sip.world import Caller, World

SEEDS = 300
SHARE = 50


def ran(seed: int) -> World:
    world = World(seed)
    world.run()
    world.check()
    return world


@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_every_world_comes_to_rest_with_every_promise_kept(first: int) -> None:
    for seed in range(first, first + SHARE):
        ran(seed)


def test_the_same_seed_is_the_same_world() -> None:
    one, other = ran(7), ran(7)
    assert [(sent.at, sent.sender, sent.message.encode()) for sent in one.wire] == [
        (sent.at, sent.sender, sent.message.encode()) for sent in other.wire
    ]


def test_the_worlds_are_not_all_alike() -> None:
    """A world in which nothing happens keeps every promise. These do happen, each in several of them."""
    seen: dict[str, int] = {}

    def count(name: str, happened: bool) -> None:
        seen[name] = seen.get(name, 0) + happened

    for seed in range(120):
        world = ran(seed)
        finals = [caller.final for caller in world.callers]
        responses = {sent.message.status for sent in world.wire if isinstance(sent.message, Response)}
        lines = [sent.message.start_line for sent in world.wire]
        count("success", 200 in finals)
        count("timeout", 408 in finals)
        count("cancelled", 487 in finals)
        count("refused", any(status in (401, 404, 407, 480, 486, 500, 600, 603) for status in finals))
        count("several successes", any(len(caller.successes) > 1 for caller in world.callers))
        count("loop", 482 in responses)
        count("redirection", 302 in responses)
        count("loser cancelled", any(line.startswith("CANCEL") for line in lines))
        count("loss", world.lost > 10)
        count("message", any(caller.message_answers for caller in world.callers))
        count("timer C", world.now - world.start > 185.0)
    assert {name for name, times in seen.items() if times < 2} == set(), seen


def test_a_promise_that_is_broken_names_its_seed() -> None:
    """The checks themselves: a caller that is not told how its call ended is found out."""
    world = ran(3)
    caller = world.callers[0]
    assert isinstance(caller, Caller)
    caller.final = 0
    with pytest.raises(AssertionError, match=r"seed 3, .* caller0 has no final response"):
        world.check()
