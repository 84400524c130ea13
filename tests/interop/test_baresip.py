"""Two baresip phones call each other through the server: over every transport, with sound, and in every way to end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.interop.peers.baresip import Baresip
from tests.interop.peers.program import has_ipv6
from tests.interop.peers.server import Server
from tests.interop.peers.sound import wait_for_tone

pytestmark = pytest.mark.interop("baresip", "openssl")

Phone = Callable[..., Baresip]


@pytest.fixture
def server(shared: Server) -> Server:
    """The same for all tests here: its phones take back what they registered."""
    return shared


def established(caller: Baresip, callee: Baresip) -> None:
    """Alice's call is answered and stands on both sides."""
    caller.dial(callee.user)
    callee.expect("CALL_INCOMING")
    caller.expect("CALL_RINGING")
    callee.accept()
    caller.expect("CALL_ESTABLISHED")
    callee.expect("CALL_ESTABLISHED")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_call_with_sound_both_ways(phone: Phone, transport: str) -> None:
    """REGISTER, INVITE, 180, 200, ACK, sound from either phone to the other, BYE by the caller."""
    alice = phone(Baresip, "alice", transport=transport, tone=440)
    bob = phone(Baresip, "bob", transport=transport, tone=1000)
    established(alice, bob)
    wait_for_tone(alice.heard(), bob.tone)
    wait_for_tone(bob.heard(), alice.tone)
    alice.hang_up()
    bob.expect("CALL_CLOSED")


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_call_with_sound_over_ipv6(phone: Phone, transport: str) -> None:
    """The same with IPv6 everywhere: registration, call and sound."""
    alice = phone(Baresip, "alice", transport=transport, tone=440, host="::1")
    bob = phone(Baresip, "bob", transport=transport, tone=1000, host="::1")
    established(alice, bob)
    wait_for_tone(alice.heard(), bob.tone)
    wait_for_tone(bob.heard(), alice.tone)
    bob.hang_up()
    alice.expect("CALL_CLOSED")


@pytest.mark.parametrize(("first", "second"), [("udp", "tls"), ("tls", "udp"), ("tcp", "tls")])
def test_call_from_one_transport_to_another(phone: Phone, first: str, second: str) -> None:
    """The same where the phones are on different transports; BYE by the callee."""
    alice = phone(Baresip, "alice", transport=first, tone=440)
    bob = phone(Baresip, "bob", transport=second, tone=1000)
    established(alice, bob)
    wait_for_tone(bob.heard(), alice.tone)
    bob.hang_up()
    alice.expect("CALL_CLOSED")


def test_callee_hangs_up(phone: Phone) -> None:
    """BYE by the callee, at once."""
    alice, bob = phone(Baresip, "alice"), phone(Baresip, "bob")
    established(alice, bob)
    bob.hang_up()
    assert "reset by peer" in alice.expect("CALL_CLOSED")["param"]


def test_caller_gives_up_while_it_rings(phone: Phone) -> None:
    """CANCEL while it rings: the callee gets it, and the caller a 487."""
    alice, bob = phone(Baresip, "alice"), phone(Baresip, "bob")
    alice.dial("bob")
    bob.expect("CALL_INCOMING")
    alice.expect("CALL_RINGING")
    alice.hang_up()
    bob.expect("CALL_CLOSED")
    bob.program.expect(r"(?m)^CANCEL sip:")
    alice.program.expect("487 Request Terminated")


def test_callee_is_busy(phone: Phone) -> None:
    """The callee's 486 reaches the caller."""
    alice, bob = phone(Baresip, "alice"), phone(Baresip, "bob")
    alice.dial("bob")
    bob.expect("CALL_INCOMING")
    bob.hang_up()  # baresip refuses with 486
    assert alice.expect("CALL_CLOSED")["param"].startswith("486 ")


def test_nobody_answers(phone: Phone) -> None:
    """The callee's phone rings for two seconds and refuses; the caller is told."""
    alice, bob = phone(Baresip, "alice"), phone(Baresip, "bob", ring_seconds=2)
    alice.dial("bob")
    bob.expect("CALL_INCOMING")
    bob.expect("CALL_CLOSED")
    assert alice.expect("CALL_CLOSED")["param"][:3] in {"408", "480", "486"}


def test_nobody_there(phone: Phone) -> None:
    """The callee has an account and no phone: the server refuses."""
    alice = phone(Baresip, "alice")
    alice.dial("carol")  # has an account, but no phone is registered
    assert alice.expect("CALL_CLOSED")["param"][:3] in {"404", "480"}


def test_all_phones_of_a_user_ring_and_one_answers(phone: Phone) -> None:
    """One INVITE forks to two phones; one answers, the other is cancelled, and the sound is that of the first."""
    alice = phone(Baresip, "alice", tone=440)
    desk, mobile = phone(Baresip, "bob", tone=1000), phone(Baresip, "bob", transport="tcp", tone=1400)
    alice.dial("bob")
    desk.expect("CALL_INCOMING")
    mobile.expect("CALL_INCOMING")
    mobile.accept()
    mobile.expect("CALL_ESTABLISHED")
    alice.expect("CALL_ESTABLISHED")
    desk.expect("CALL_CLOSED")
    desk.program.expect(r"(?m)^CANCEL sip:")
    wait_for_tone(alice.heard(), mobile.tone)
    wait_for_tone(mobile.heard(), alice.tone)
    alice.hang_up()
    mobile.expect("CALL_CLOSED")


def test_a_second_call_after_the_first(phone: Phone) -> None:
    """Two calls after each other, in opposite directions."""
    alice, bob = phone(Baresip, "alice"), phone(Baresip, "bob")
    established(alice, bob)
    alice.hang_up()
    alice.expect("CALL_CLOSED")
    bob.expect("CALL_CLOSED")
    established(bob, alice)
    alice.hang_up()
    bob.expect("CALL_CLOSED")


def test_wrong_password_is_refused(phone: Phone) -> None:
    """A phone with a wrong password is not registered and not called."""
    mallory = phone(Baresip, "bob", password="guess", wait=False)
    mallory.program.expect("sip:bob@ring.test: 401 Unauthorized")
    alice = phone(Baresip, "alice")
    alice.dial("bob")
    assert alice.expect("CALL_CLOSED")["param"][:3] in {"404", "480"}
