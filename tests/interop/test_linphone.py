"""Linphone and baresip call each other through the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.interop.peers.baresip import Baresip
from tests.interop.peers.linphone import Linphone
from tests.interop.peers.sound import wait_for_tone

pytestmark = pytest.mark.interop("baresip", "linphonec", "openssl")

Phone = Callable[..., Any]


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_linphone_calls_baresip(phone: Phone, transport: str) -> None:
    """Linphone calls: INVITE, 180, 200, ACK, sound both ways, BYE by the caller."""
    dave = phone(Linphone, "dave", transport=transport)
    bob = phone(Baresip, "bob", transport=transport)
    dave.dial("bob")
    bob.expect("CALL_INCOMING")
    dave.expect("ringing")
    bob.accept()
    dave.expect("connected")
    bob.expect("CALL_ESTABLISHED")
    wait_for_tone(bob.heard(), dave.tone)
    wait_for_tone(dave.heard(), bob.tone)
    dave.hang_up()
    bob.expect("CALL_CLOSED")
    dave.expect("ended")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_baresip_calls_linphone(phone: Phone, transport: str) -> None:
    """Baresip calls and hangs up. Linphone's Contact is its GRUU: the ACK and the BYE are for that (RFC 5627 6.1)."""
    dave = phone(Linphone, "dave", transport=transport)
    bob = phone(Baresip, "bob", transport=transport)
    bob.dial("dave")
    dave.expect("incoming call")
    bob.expect("CALL_RINGING")
    dave.accept()
    bob.expect("CALL_ESTABLISHED")
    wait_for_tone(dave.heard(), bob.tone)
    wait_for_tone(bob.heard(), dave.tone)
    bob.hang_up()
    dave.expect("ended")


def test_linphone_hangs_up_what_baresip_began(phone: Phone) -> None:
    """BYE by the callee."""
    dave, bob = phone(Linphone, "dave"), phone(Baresip, "bob")
    bob.dial("dave")
    dave.expect("incoming call")
    dave.accept()
    bob.expect("CALL_ESTABLISHED")
    dave.hang_up()
    bob.expect("CALL_CLOSED")


def test_linphone_gives_up_while_it_rings(phone: Phone) -> None:
    """CANCEL by Linphone reaches baresip."""
    dave, bob = phone(Linphone, "dave"), phone(Baresip, "bob")
    dave.dial("bob")
    bob.expect("CALL_INCOMING")
    dave.expect("ringing")
    dave.hang_up()
    bob.expect("CALL_CLOSED")
    bob.program.expect(r"(?m)^CANCEL sip:")


def test_linphone_declines(phone: Phone) -> None:
    """Linphone's 603 reaches baresip."""
    dave, bob = phone(Linphone, "dave"), phone(Baresip, "bob")
    bob.dial("dave")
    dave.expect("incoming call")
    dave.hang_up()
    assert bob.expect("CALL_CLOSED")["param"].startswith("603 ")


def test_two_linphones(phone: Phone) -> None:
    """Two Linphones, each known to the other by its GRUU: sound both ways, BYE by the callee."""
    dave, erin = phone(Linphone, "dave", tone=440), phone(Linphone, "erin", tone=1000)
    dave.dial("erin")
    erin.expect("incoming call")
    erin.accept()
    dave.expect("connected")
    wait_for_tone(erin.heard(), dave.tone)
    wait_for_tone(dave.heard(), erin.tone)
    erin.hang_up()
    dave.expect("ended")
