"""Stores that have to be awaited lead to the same octets as those that answer at once.

A layer does at once what it can, and the rest in a coroutine: two ways through the same rules.
"""

from __future__ import annotations

import pytest

from ringback.errors import StoreError
from tests.attacks.world import DOMAIN, Call, World, account, statuses

INSTANCE = '+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"'


def everything(remote: bool) -> list[str]:
    """One message of each kind through a server; all that it sends, in order."""
    world = World(remote=remote, users=("alice", "bob", "carol"))
    world.finish(world.store.accounts.put(account("frank", enabled=False)))
    wire: list[str] = []
    receive = world.receive

    def recording(data: bytes, flow: object) -> None:
        before = len(world.sent)
        receive(data, flow)  # type: ignore[arg-type]
        wire.extend(f"{to} {octets.decode()}" for octets, to in world.sent[before:])

    world.receive = recording  # type: ignore[assignment]
    alice, bob = world.phone("alice"), world.phone("bob")
    alice.register()
    bob.register("Supported: gruu")
    call = Call(world, alice, bob)
    call.within("BYE")
    # Bob by his GRUU, within a dialog and by an ACK.
    contact = f"<{bob.contact}>;{INSTANCE}"
    [answer] = bob.request("REGISTER", f"sip:{DOMAIN}", "Supported: gruu", contact=contact)
    gruu = answer.addresses("contact")[0].parameters["pub-gruu"].strip('"')  # type: ignore[union-attr]
    call = Call(world, alice, bob)
    call.within("INFO", uri=gruu)
    call.within("ACK", uri=gruu)
    bob.request("REGISTER", f"sip:{DOMAIN}", "Expires: 0", contact="*")
    call.within("INFO", uri=gruu)
    call.within("ACK", uri=gruu)
    call.within("INFO", uri=f"sip:bob@{DOMAIN};gr=urn:uuid:none")
    for user in ("bob", "carol", "frank", "zelda"):
        alice.request("MESSAGE", f"sip:{user}@{DOMAIN}")
    alice.request("MESSAGE", f"sip:bob@{DOMAIN};gr=none")
    for who, password in (("alice", "wrong"), ("frank", None), ("zelda", "any")):
        phone = world.phone(who)
        phone.challenged("MESSAGE", bob.uri)
        line = phone.credentials("MESSAGE", bob.uri, password=password)
        phone.send(phone.build("MESSAGE", bob.uri, line))
    alice.request("MESSAGE", bob.uri, sender=f"<sip:carol@{DOMAIN}>")
    # What cannot be read is found out only behind the wait.
    alice.request("MESSAGE", f"sip:bob@{DOMAIN}", "Route: <sip:192.0.2.1:5060;lr>, nonsense")
    return wire


def test_the_same_octets() -> None:
    awaited, at_once = everything(remote=True), everything(remote=False)
    assert awaited == at_once
    kinds = {line.split("\r\n")[0].split(" ", 1)[1] for line in at_once}
    # The scenario is what it says: requests that went on, and each answer that the layers behind a store can give.
    seen = {kind.split(" ")[1] if kind.startswith("SIP/2.0") else kind.split(" ")[0] for kind in kinds}
    assert seen >= {"INVITE", "ACK", "BYE", "INFO", "200", "400", "401", "403", "404", "407", "480"}


class Broken:
    """Accounts on a disk that cannot be read."""

    def peek(self, user: str, domain: str) -> None:
        raise StoreError("the disk cannot be read")

    async def get(self, user: str, domain: str) -> None:
        raise StoreError("the disk cannot be read")


@pytest.mark.parametrize("remote", [False, True])
def test_accounts_that_cannot_be_read(remote: bool) -> None:
    """Nobody is let in, and nobody is told that his password is wrong."""
    world = World(remote=remote)
    alice = world.phone("alice")
    alice.challenged("MESSAGE", f"sip:bob@{DOMAIN}")
    broken = Broken()
    world.authentication.accounts = broken  # type: ignore[assignment]
    if not remote:
        world.authentication._embedded = broken  # type: ignore[assignment]
    line = alice.credentials("MESSAGE", f"sip:bob@{DOMAIN}")
    answers = alice.send(alice.build("MESSAGE", f"sip:bob@{DOMAIN}", line))
    assert statuses(answers) == [503]
    assert answers[0].header("retry-after") == "10"
