from __future__ import annotations

import time
from dataclasses import replace

import pytest

from ringback.errors import LocalError
from ringback.sdp.description import Origin, SessionDescription, parse
from ringback.sdp.errors import SdpError
from ringback.sdp.exchange import OfferAnswer, agreed
from ringback.sdp.formats import Codec
from ringback.sdp.ice import IceParameters
from ringback.sdp.offering import free_slot, offer
from ringback.sdp.security import Crypto, Fingerprint
from ringback.sdp.streams import LocalStream, Policy
from tests.sdp.samples import CHROMIUM

ALICE, BOB = Origin.of(10, "192.0.2.1"), Origin.of(20, "192.0.2.2")
PCMU, OPUS, SPEEX = Codec("PCMU", 8000), Codec("opus", 48000, 2), Codec("speex", 16000)
PRINT = Fingerprint("sha-1", "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB")
AUDIO = LocalStream("audio", 4000, "192.0.2.1", [OPUS, PCMU])
BOBS = replace(AUDIO, port=5000, address="192.0.2.2")
VIDEO = LocalStream("video", 4002, "192.0.2.1", [Codec("VP8", 90000)])


def connected(alices: list[LocalStream], bobs: list[LocalStream]) -> tuple[OfferAnswer, OfferAnswer]:
    alice, bob = OfferAnswer(ALICE), OfferAnswer(BOB)
    alice.accept(bob.answer(alice.offer(alices), bobs)[0])
    return alice, bob


def versions(*descriptions: SessionDescription) -> list[int]:
    return [description.origin.version for description in descriptions]


def test_what_is_in_force() -> None:
    alice, bob = OfferAnswer(ALICE), OfferAnswer(BOB)
    offered = alice.offer([AUDIO])
    assert (alice.pending, alice.local, alice.remote, alice.streams) == (offered, None, None, [])
    answered, streams = bob.answer(offered, [BOBS])
    assert (bob.local, bob.remote, bob.streams, bob.pending) == (answered, offered, streams, None)
    found = alice.accept(answered)
    assert (alice.local, alice.remote, alice.streams, alice.pending) == (offered, answered, found, None)


def test_an_answer_without_an_offer_is_our_own_mistake() -> None:
    alice, bob = connected([AUDIO], [BOBS])
    with pytest.raises(LocalError):
        alice.accept(bob.offer([BOBS]))
    with pytest.raises(LocalError):
        OfferAnswer(ALICE).accept(bob.offer([BOBS]))


def test_hold_and_resume_in_both_directions() -> None:
    """RFC 6337 5.3: each side answers by what it wants itself, and both have to resume."""
    alice, bob = connected([AUDIO], [BOBS])
    held, theirs = replace(AUDIO, direction="sendonly"), replace(BOBS, direction="sendonly")
    answered, streams = bob.answer(alice.offer([held]), [BOBS])
    assert (streams[0].direction, streams[0].hold) == ("recvonly", True)
    assert (alice.accept(answered)[0].direction, alice.streams[0].hold) == ("sendonly", False)
    # Now Bob holds too.
    answered, streams = alice.answer(bob.offer([theirs]), [held])
    assert (streams[0].direction, streams[0].hold) == ("inactive", True)
    assert (bob.accept(answered)[0].direction, bob.streams[0].hold) == ("inactive", True)
    # Alice resumes, and is still held by Bob.
    answered, streams = bob.answer(alice.offer([AUDIO]), [theirs])
    assert (streams[0].direction, streams[0].hold) == ("sendonly", False)
    assert (alice.accept(answered)[0].direction, alice.streams[0].hold) == ("recvonly", True)
    answered, streams = alice.answer(bob.offer([BOBS]), [AUDIO])
    assert streams[0].direction == bob.accept(answered)[0].direction == "sendrecv"


def test_versions_rise_only_with_changes() -> None:
    alice, bob = OfferAnswer(ALICE), OfferAnswer(BOB)
    first = alice.offer([AUDIO])
    first_answer, _ = bob.answer(first, [BOBS])
    alice.accept(first_answer)
    again = alice.offer([AUDIO])
    again_answer, _ = bob.answer(again, [BOBS])
    alice.accept(again_answer)
    assert (again, again_answer) == (first, first_answer)
    held = alice.offer([replace(AUDIO, direction="sendonly")])
    held_answer, _ = bob.answer(held, [BOBS])
    assert versions(first, held, first_answer, held_answer) == [10, 11, 20, 21]


def test_a_refused_offer_leaves_all_as_it_was_but_the_version() -> None:
    alice, bob = connected([AUDIO], [BOBS])
    before = alice.streams
    refused = alice.offer([AUDIO, VIDEO])
    alice.reject()
    assert (alice.pending, alice.streams, len(alice.local.media if alice.local else [])) == (None, before, 1)
    # The video that was refused has no place; its version is not used again for something else.
    again = alice.offer([AUDIO])
    assert len(again.media) == 1
    assert versions(refused, again) == [11, 12]
    answered, _ = bob.answer(again, [BOBS])
    assert len(answered.media) == 1 and alice.accept(answered)


def test_an_offer_that_cannot_be_answered_changes_nothing() -> None:
    alice, bob = connected([AUDIO], [BOBS])
    before = (bob.local, bob.remote, bob.streams)
    with pytest.raises(SdpError):
        bob.answer(alice.offer([replace(AUDIO, codecs=[SPEEX])]), [BOBS])
    assert (bob.local, bob.remote, bob.streams) == before
    # Nor does an answer that cannot be used: it is still awaited.
    broken = offer([replace(BOBS, codecs=[PCMU])], BOB)
    with pytest.raises(SdpError):
        alice.accept(broken)
    assert alice.pending is not None


def test_payload_types_stay_with_their_codecs() -> None:
    alice, bob = connected([replace(AUDIO, dtmf=False)], [replace(BOBS, dtmf=False)])
    # Bob has never offered; he uses the numbers of Alice.
    assert bob.offer([replace(BOBS, dtmf=False)]).media[0].formats == ["96", "0"]
    bob.reject()
    alice.accept(bob.answer(alice.offer([replace(AUDIO, codecs=[PCMU], dtmf=False)]), [BOBS])[0])
    # Opus is gone; its number is not given to Speex, by neither side.
    assert alice.offer([replace(AUDIO, codecs=[SPEEX, PCMU], dtmf=False)]).media[0].formats == ["97", "0"]
    assert bob.offer([replace(BOBS, codecs=[SPEEX, OPUS], dtmf=False)]).media[0].formats == ["97", "96"]


def test_numbers_of_an_offer_that_was_not_taken_up_are_kept() -> None:
    alice, bob = OfferAnswer(ALICE), OfferAnswer(BOB)
    answered, _ = bob.answer(alice.offer([replace(AUDIO, codecs=[SPEEX, PCMU], dtmf=False)]), [BOBS])
    alice.accept(answered)
    assert answered.media[0].formats == ["0"]
    assert bob.offer([replace(BOBS, codecs=[OPUS], dtmf=False)]).media[0].formats == ["97"]


def test_streams_come_and_go_and_come_again() -> None:
    alice, bob = connected([AUDIO], [BOBS])
    theirs = replace(VIDEO, port=5002, address="192.0.2.2")
    alice.accept(bob.answer(alice.offer([AUDIO, VIDEO]), [BOBS, theirs])[0])
    assert [stream.active for stream in alice.streams] == [True, True]
    alice.accept(bob.answer(alice.offer([AUDIO, replace(VIDEO, port=0)]), [BOBS, theirs])[0])
    assert [stream.active for stream in alice.streams] == [True, False]
    assert bob.local is not None and free_slot(bob.local) == 1
    # Bob uses the free place for real-time text.
    text = LocalStream("text", 5004, "192.0.2.2", [Codec("t140", 1000)])
    answered, _ = alice.answer(bob.offer([BOBS, text]), [AUDIO, replace(text, port=4004, address="192.0.2.1")])
    assert [stream.kind for stream in bob.accept(answered)] == ["audio", "text"]
    assert [media.port for media in answered.media] == [4000, 4004]


def test_an_invite_that_forks_has_several_answers_to_one_offer() -> None:
    alice = OfferAnswer(ALICE)
    offered = alice.offer([replace(AUDIO, dtmf=False)])
    fork = alice.fork()
    bob, carol = OfferAnswer(BOB), OfferAnswer(Origin.of(30, "192.0.2.3"))
    alice.accept(bob.answer(offered, [replace(BOBS, codecs=[OPUS], dtmf=False)])[0])
    fork.accept(carol.answer(offered, [replace(BOBS, codecs=[PCMU], address="192.0.2.3", dtmf=False)])[0])
    assert [exchange.streams[0].remote_address for exchange in (alice, fork)] == ["192.0.2.2", "192.0.2.3"]
    assert [exchange.streams[0].codecs[0].name for exchange in (alice, fork)] == ["opus", "PCMU"]
    # From now on each has its own numbers and versions.
    one, other = alice.offer([replace(AUDIO, codecs=[SPEEX])]), fork.offer([AUDIO])
    assert versions(one, other) == [11, 11]


@pytest.mark.parametrize("first", ["active", "passive"])
def test_roles_of_dtls_stay_when_the_other_side_offers_again(first: str) -> None:
    """RFC 8842 5.3, whoever has offered first."""
    secure = Policy("require", ("dtls",))
    alice, bob = OfferAnswer(ALICE, secure), OfferAnswer(BOB, secure)
    alices = [replace(AUDIO, fingerprints=[PRINT])]
    bobs = [replace(BOBS, fingerprints=[PRINT], setup=first)]  # type: ignore[list-item]
    alice.accept(bob.answer(alice.offer(alices), bobs)[0])
    roles = (alice.streams[0].dtls_role, bob.streams[0].dtls_role)
    assert roles == (("passive", "active") if first == "active" else ("active", "passive"))
    # Both offer "actpass" again, as they must (5.5).
    bobs = [replace(BOBS, fingerprints=[PRINT])]
    bob.accept(alice.answer(bob.offer(bobs), alices)[0])
    assert (alice.streams[0].dtls_role, bob.streams[0].dtls_role) == roles
    alice.accept(bob.answer(alice.offer(alices), bobs)[0])
    assert (alice.streams[0].dtls_role, bob.streams[0].dtls_role) == roles


def test_a_call_from_a_browser_is_held_in_its_own_profile() -> None:
    local = replace(AUDIO, fingerprints=[PRINT], ice=IceParameters("ours", "o" * 22), rtcp_mux=True, bundle=True)
    exchange = OfferAnswer(ALICE)
    exchange.answer(parse(CHROMIUM), [local])
    held = exchange.offer([replace(local, direction="sendonly")])
    assert [(media.kind, media.port) for media in held.media] == [("audio", 4000), ("video", 0), ("application", 0)]
    assert held.media[0].protocol == "UDP/TLS/RTP/SAVPF"
    assert (held.media[0].value("mid"), held.value("group")) == ("0", "BUNDLE 0")
    # Its numbers: 111 for opus, 110 and 126 for events.
    assert held.media[0].formats == ["111", "0", "110", "126"]
    assert (held.media[0].value("setup"), held.media[0].has("rtcp-mux")) == ("actpass", True)


def test_the_largest_descriptions_are_negotiated_in_a_moment() -> None:
    session = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
    key = str(Crypto("AES_CM_128_HMAC_SHA1_80", bytes(30), 1))
    many = "m=audio 5000 RTP/AVP " + " ".join(str(number) for number in range(128)) + "\r\n"
    worst = [
        session + "".join(f"a=x{number}:1\r\n" for number in range(900)) + many * 64,
        session + many + "".join(f"a=rtpmap:{number} opus/48000/2\r\n" for number in range(128)) * 7,
        session + many + f"a=crypto:{key}\r\n" * 900,
        session + many + "a=candidate:1 1 udp 1 192.0.2.1 4000 typ host\r\n" * 900,
        session + "a=group:BUNDLE " + "a " * 20000 + "\r\n" + (many + "a=mid:a\r\n") * 60,
        session + many + "a=fmtp:96 " + ";" * 60000,
        session + many + "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 " + "0-255," * 9000,
        session + many + "a=fingerprint:sha-1 " + "00:" * 20000,
    ]
    local = [replace(AUDIO, crypto=[Crypto("AES_CM_128_HMAC_SHA1_80", b"k" * 30)], fingerprints=[PRINT])]
    began = time.process_time()
    for body in worst:
        exchange = OfferAnswer(ALICE)
        exchange.answer(parse(body[:65536].encode()), local)
        try:
            agreed(exchange.offer(local), parse(body[:65536].encode()), local)
        except SdpError:
            continue
    assert time.process_time() - began < 3
