"""A call belongs to its two ends: who is not on its way can neither end it, nor move it, nor answer it."""

from __future__ import annotations

import pytest

from ringback.sip.message import Request
from tests.attacks.world import DOMAIN, SERVER, Call, Phone, World, statuses

WITHIN = ("BYE", "INVITE", "UPDATE", "INFO", "REFER", "NOTIFY", "MESSAGE", "PRACK")


@pytest.fixture
def call() -> Call:
    world = World()
    alice, bob = world.phone("alice"), world.phone("bob")
    alice.register()
    bob.register()
    return Call(world, alice, bob)


def still_up(call: Call) -> bool:
    """Whether nothing has come to either end, and both can still hang up."""
    quiet = call.caller.messages() == [] and call.callee.messages() == []
    call.within("BYE")
    [bye] = call.callee.requests()
    call.callee.answer(bye, 200)
    return quiet and bye.method == "BYE" and statuses(call.caller.responses()) == [200]


@pytest.mark.parametrize("method", WITHIN)
@pytest.mark.parametrize("known", [False, True])
def test_a_strangers_request_within_a_call(call: Call, method: str, known: bool) -> None:
    """He knows Call-ID and tags, even; what he lacks is the token of the route. A user of ours is no better off."""
    world = call.world
    mallory = world.phone("mallory" if known else "nobody", domain=DOMAIN if known else "example.net")
    routes = ("", f"Route: <sip:{SERVER};lr>", f"Route: <sip:p{'0' * 20}@{SERVER}:5060;lr>")
    for uri in (f"sip:bob@{DOMAIN}", call.callee.contact):
        for route in routes:
            extra = (route,) if route else ()
            sender = f"<{mallory.uri if known else call.caller.uri}>"
            changed = {"sender": sender, "to": call.to, "call_id": call.call_id, "tag": "caller"}
            answers = mallory.request(method, uri, *extra, **changed) if known else mallory.send(
                mallory.build(method, uri, *extra, **changed)  # type: ignore[arg-type]
            )
            if known and uri == call.callee.contact:
                # It is a request of his to an address, as he might send it himself, and under his own name.
                assert statuses(answers) == []
                [request] = call.callee.requests()
                assert request.from_.uri.text == mallory.uri
                call.callee.answer(request, 481)
                call.callee.raw()
                mallory.raw()
            else:
                assert statuses(answers) == [481 if known else 407]
    assert still_up(call)


def test_a_cancel_needs_the_callers_address() -> None:
    """All that is needed to match the INVITE stands in the Via that each callee is shown: one of bob's telephones must
    not stop the others, nor anybody a call that he was once a part of.

    22.1: "a CANCEL request SHOULD be accepted by a server if it comes from the same hop that sent the request being
    canceled"."""
    world = World()
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.register()
    alice.request("INVITE", bob.uri, call_id="c", tag="t")
    [invite] = bob.requests()
    bob.answer(invite, 180)
    assert statuses(alice.responses()) == [180]
    via = invite.split("via")[1]
    assert alice.place in via
    lines = [
        f"CANCEL sip:bob@{DOMAIN} SIP/2.0",
        f"Via: {via}",
        *(line for line, name in zip(invite.lines, invite.names, strict=True) if name in ("from", "to", "call-id")),
        f"CSeq: {invite.cseq.number} CANCEL",
        "Content-Length: 0",
    ]
    cancel = ("\r\n".join(lines) + "\r\n\r\n").encode()
    world.receive(cancel, bob.flow)
    assert statuses(bob.responses()) == [481]
    world.receive(cancel, Phone(world, "x", "203.0.113.9", 5060, DOMAIN, "UDP").flow)
    assert alice.messages() == []
    # From where the INVITE came it works, also from another port of that address.
    world.receive(cancel, Phone(world, "x", alice.flow.host, alice.flow.port + 1, DOMAIN, "UDP").flow)
    world.advance(0.0)
    assert [request.method for request in bob.requests()] == ["CANCEL"]


@pytest.mark.parametrize("changed", [{"branch": "z9hG4bKguess"}, {"cseq": 99}])
def test_a_cancel_that_is_a_guess(changed: dict[str, object]) -> None:
    world = World()
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.register()
    alice.request("INVITE", bob.uri, call_id="c", tag="t")
    [invite] = bob.requests()
    bob.answer(invite, 180)
    alice.raw()
    mallory = world.phone("mallory")
    assert statuses(mallory.send(mallory.build("CANCEL", bob.uri, call_id="c", tag="t", **changed))) == [481]  # type: ignore[arg-type]
    assert bob.messages() == [] and alice.messages() == []


def test_the_branch_of_a_request_tells_nothing_of_the_next() -> None:
    """A response counts by its branch, wherever it comes from: who has seen one must not be able to name another."""
    world = World()
    alice, mallory, bob = world.phone("alice"), world.phone("mallory"), world.phone("bob")
    mallory.register()
    bob.register()
    seen: list[Request] = []
    for _ in range(3):
        alice.request("MESSAGE", mallory.uri)
        seen += mallory.requests()
    heads, marks = zip(*[request.via.branch.partition(".")[0].split("-") for request in seen], strict=True)
    assert len(set(marks)) == 3 and {len(mark) for mark in marks} == {12}
    # What can be foreseen is the counter alone.
    assert [int(head[-1], 16) - int(heads[0][-1], 16) for head in heads] == [0, 1, 2]
    alice.request("INVITE", bob.uri)
    [invite] = bob.requests()
    guess = invite.copy()
    branch = invite.via.branch
    position = guess.names.index("via")
    for wrong in (branch.partition("-")[0], f"{branch.partition('-')[0]}-{marks[-1]}.{branch.partition('.')[2]}"):
        guess.lines[position] = invite.lines[position].replace(branch, wrong)
        mallory.answer(guess, 200)
        mallory.answer(guess, 603)
    assert alice.messages() == [] or statuses(alice.responses()) == [100]
    bob.answer(invite, 200)
    assert statuses(alice.responses())[-1] == 200


def test_two_processes_make_different_branches() -> None:
    first, second = (World() for _ in range(2))
    second.stack.layer.branch_prefix += "x"
    assert first.stack.layer.new_branch()[-12:] != second.stack.layer.new_branch()[-12:]


def test_the_route_of_a_call_does_not_serve_another_call_id(call: Call) -> None:
    mallory = call.world.phone("mallory")
    request = mallory.build("BYE", call.callee.contact, call.route, to=call.to, call_id="another", tag="caller")
    assert statuses(mallory.send(request)) == [407]
    assert still_up(call)


def test_the_callee_hangs_up_too(call: Call) -> None:
    """The other direction, over the same token."""
    route = f"Route: {', '.join(call.routes)}"
    bob, alice = call.callee, call.caller
    bob.send(bob.build("BYE", alice.contact, route, to=f"<{alice.uri}>;tag=caller", call_id=call.call_id, tag="callee"))
    [bye] = alice.requests()
    alice.answer(bye, 200)
    assert statuses(bob.responses()) == [200]
