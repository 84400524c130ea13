"""The caller's INVITE until it is answered (RFC 3261 13.2, 9.1, 8.1.3.4; RFC 3262, 4028)."""

import pytest

from ringback.errors import LocalError, ParseError
from ringback.sip.cause import Cause
from ringback.sip.dialog import dialog_key
from ringback.sip.message import Request
from ringback.sip.session import Session
from ringback.sip.session_events import (
    Changed,
    Closed,
    DescriptionReceived,
    Ended,
    Established,
    Locate,
    Offered,
    Progressed,
    Reoffered,
)
from ringback.sip.session_outgoing import MOST_EARLY, MOST_TARGETS
from tests.sip.agents import ANSWER, OFFER, OTHER, THIRD, Agent, Domain, Net, Peer, ended, pair, settle


def calling(**settings: object) -> tuple[Net, Agent, Peer, Session]:
    """Alice has called a party that the test plays."""
    net = Net()
    alice, peer = Agent(net, "alice", **settings), Peer(net)  # type: ignore[arg-type]
    session = alice.call(peer)
    net.run(0.0)
    return net, alice, peer, session


# the INVITE ----------------------------------------------------------------------------------------------------------


def test_the_invite_holds_what_it_has_to() -> None:
    """8.1.1, 13.2.1, 20.5, 20.37 and RFC 4028 7.1."""
    net = Net()
    alice, peer = Agent(net, "alice", session_expires=1800, info_packages=["foo", "bar"]), Peer(net)
    session = alice.call(peer, headers=[("Subject", "hello")])
    net.run(0.0)
    invite = peer.take("INVITE")
    assert invite.encode().split(b"\r\n\r\n")[1] == OFFER
    lines = [line for name, line in zip(invite.names, invite.lines, strict=True) if name not in ("via", "call-id")]
    assert lines == [
        "Max-Forwards: 70",
        f"From: <sip:alice@example.org>;tag={session.tag}",
        "To: <sip:peer@192.0.2.2>",
        "CSeq: 1 INVITE",
        "Contact: <sip:alice@192.0.2.1>",
        "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, REFER, NOTIFY, OPTIONS, MESSAGE",
        "Supported: replaces, join, timer, norefersub, histinfo",
        "Allow-Events: refer",
        "Accept: application/sdp",
        "Session-Expires: 1800",
        "Subject: hello",
        "Recv-Info: foo, bar",
        "Content-Type: application/sdp",
        f"Content-Length: {len(OFFER)}",
    ]
    assert len(invite.call_id) == 32
    assert (session.direction, session.state, session.remote.uri.text) == ("outgoing", "calling", "sip:peer@192.0.2.2")


def test_routes_of_the_profile_are_loaded_before() -> None:
    net = Net()
    proxy, alice, peer = Peer(net, "proxy"), Agent(net, "alice"), Peer(net)
    alice.profile.routes = [f"<sip:{proxy.host};lr>", "<sip:second.example.net;lr>"]
    alice.call(peer)
    net.run(0.0)
    invite = proxy.take("INVITE")
    assert invite.uri == peer.uri
    assert invite.all("route") == [f"<sip:{proxy.host};lr>", "<sip:second.example.net;lr>"]


def test_a_strict_router_of_the_profile_gets_the_request() -> None:
    """12.2.1.1 by way of 8.1.2: without lr the route becomes the Request-URI."""
    net = Net()
    proxy, alice, peer = Peer(net, "proxy"), Agent(net, "alice"), Peer(net)
    alice.profile.routes = [f"<sip:{proxy.host}>"]
    alice.call(peer)
    net.run(0.0)
    invite = proxy.take("INVITE")
    assert (invite.uri, invite.all("route")) == (f"sip:{proxy.host}", [f"<{peer.uri}>"])


def test_what_cannot_be_called() -> None:
    net, alice, _ = pair()
    with pytest.raises(ParseError):
        alice.call("no uri at all")
    for target in ("mailto:bob@example.org", "sip:bob@example.org;method=MESSAGE"):
        with pytest.raises(LocalError):
            alice.call(target)
    with pytest.raises(LocalError):
        alice.call("sip:bob@192.0.2.2", headers=[("Subject", "two\r\nlines")])
    alice.core.most_sessions = 0
    with pytest.raises(LocalError):
        alice.call("sip:bob@192.0.2.2")
    settle(net, alice)


def test_headers_of_the_target_are_honoured_where_they_are_harmless() -> None:
    """19.1.5."""
    net = Net()
    alice, peer = Agent(net, "alice"), Peer(net)
    alice.call(f"{peer.uri};user=ip;method=INVITE?Subject=a%20b&From=evil&Route=%3Csip:x%3E&Replaces=c%3Bto-tag%3D1")
    net.run(0.0)
    invite = peer.take("INVITE")
    assert (invite.uri, invite.required("to")) == (f"{peer.uri};user=ip", f"<{peer.uri};user=ip>")
    assert (invite.header("subject"), invite.header("replaces")) == ("a b", "c;to-tag=1")
    assert (invite.header("route"), invite.from_.uri.user) == (None, "alice")


def test_a_name_is_located_and_one_that_leads_nowhere_ends_the_call() -> None:
    net, alice, bob = pair()
    net.names["bob.example"] = [bob.host]
    alice.call("sip:bob@bob.example")
    net.run(0.0)
    assert bob.one(Offered).session.request.uri == "sip:bob@bob.example"
    bob.events.clear()
    alice.call("sip:bob@nowhere.example")
    net.run(0.0)
    assert [event.uri.host for event in alice.told_of(Locate)] == ["bob.example", "nowhere.example"]
    cause = alice.one(Ended).cause
    assert (cause.status, cause.by) == (503, "network")


# provisional responses and early dialogs -----------------------------------------------------------------------------


def test_ringing_and_answered() -> None:
    net, alice, peer, session = calling()
    invite = peer.take("INVITE")
    peer.answer(invite, 100, tag="")
    assert (alice.names(), session.state) == ([], "calling")
    peer.answer(invite, 180)
    assert session.state == "early"
    progressed = alice.one(Progressed)
    assert (progressed.response.status, progressed.body) == (180, b"")
    peer.answer(invite, 200, ANSWER)
    ack = peer.take("ACK")
    assert (ack.uri, ack.cseq.number, ack.required("to"), ack.body) == (
        peer.uri,
        1,
        f"<{peer.uri}>;tag=peer-tag",
        b"",
    )
    [description, done] = alice.events
    assert isinstance(description, DescriptionReceived) and isinstance(done, Established)
    assert (description.body, description.kind, description.early) == (ANSWER, "answer", False)
    assert (session.state, session.negotiation.local, session.negotiation.remote) == ("established", OFFER, ANSWER)
    session.hang_up(net.now)
    net.run(0.0)
    peer.answer(peer.take("BYE"), 200)
    alice.events.clear()
    settle(net, alice)


def test_a_provisional_response_without_a_tag_makes_no_dialog() -> None:
    _, alice, peer, session = calling()
    peer.answer(peer.take("INVITE"), 180, tag="")
    assert (session.state, session.dialog, alice.names()) == ("calling", None, ["Progressed"])


def test_early_media_and_an_answer_that_is_repeated() -> None:
    _net, alice, peer, _ = calling()
    invite = peer.take("INVITE")
    peer.answer(invite, 183, ANSWER)
    [progressed, early] = alice.events
    assert isinstance(progressed, Progressed) and isinstance(early, DescriptionReceived)
    assert (early.body, early.kind, early.early) == (ANSWER, "answer", True)
    alice.events.clear()
    peer.answer(invite, 200, ANSWER)
    assert alice.names() == ["DescriptionReceived", "Established"]


def test_the_2xx_may_leave_out_what_an_unreliable_response_has_described() -> None:
    """Against 13.2.1, but often done: the answer of the 183 counts."""
    _, alice, peer, session = calling()
    invite = peer.take("INVITE")
    peer.answer(invite, 183, ANSWER)
    alice.events.clear()
    peer.answer(invite, 200)
    assert (alice.names(), session.negotiation.remote) == (["DescriptionReceived", "Established"], ANSWER)


def test_a_2xx_without_any_answer_is_acknowledged_and_ended() -> None:
    net, alice, peer, session = calling()
    peer.answer(peer.take("INVITE"), 200)
    assert peer.take("ACK").body == b""
    peer.answer(peer.take("BYE"), 200)
    event = ended(alice)
    assert (event.cause.status, event.cause.by, session.state) == (488, "remote", "ended")
    settle(net, alice)


def test_each_callee_of_forking_has_an_early_dialog_and_the_first_2xx_is_the_call() -> None:
    _net, alice, peer, session = calling()
    invite = peer.take("INVITE")
    for tag in ("one", "two", "three"):
        peer.answer(invite, 180, tag=tag)
    assert sorted(session.keys) == sorted(
        dialog_key(session.call_id, session.tag, tag) for tag in ("one", "two", "three")
    )
    peer.answer(invite, 200, ANSWER, tag="two")
    assert session.dialog is not None and session.dialog.remote_tag == "two"
    assert list(alice.core.tu.dialogs) == [dialog_key(session.call_id, session.tag, "two")]


def test_no_more_early_dialogs_than_anybody_needs() -> None:
    _net, _alice, peer, session = calling()
    invite = peer.take("INVITE")
    for number in range(MOST_EARLY + 10):
        peer.answer(invite, 180, tag=f"t{number}")
    assert len(session.keys) == MOST_EARLY
    peer.answer(invite, 200, ANSWER, tag="late")
    assert (session.state, peer.take("ACK").to_tag) == ("established", "late")


def test_further_2xx_are_acknowledged_and_ended() -> None:
    """13.2.2.4: each 2xx of another callee is a dialog of its own."""
    _net, alice, peer, session = calling()
    invite = peer.take("INVITE")
    peer.answer(invite, 200, ANSWER, tag="one")
    peer.answer(invite, 200, ANSWER, tag="two")
    assert [peer.take("ACK").to_tag, peer.take("ACK").to_tag] == ["one", "two"]
    bye = peer.take("BYE")
    assert (bye.to_tag, bye.header("reason")) == ("two", 'SIP;cause=200;text="Call completed elsewhere"')
    peer.answer(bye, 200)
    assert (session.state, alice.names()) == ("established", ["DescriptionReceived", "Established"])


def test_a_2xx_that_comes_again_gets_the_same_ack_again() -> None:
    _net, alice, peer, _ = calling()
    invite = peer.take("INVITE")
    for _ in range(3):
        peer.answer(invite, 200, ANSWER)
    acks = [peer.take("ACK").encode() for _ in range(3)]
    assert acks[0] == acks[1] == acks[2]
    assert not peer.took("BYE")
    assert alice.names() == ["DescriptionReceived", "Established"]


def test_the_route_set_is_computed_anew_from_the_2xx() -> None:
    """13.2.2.4: "the route set for the dialog MUST be recomputed based on the 2xx response"."""
    _, _, peer, session = calling()
    invite = peer.take("INVITE")
    peer.answer(invite, 180, headers=[("Record-Route", "<sip:192.0.2.2;lr;early>")])
    assert session.dialog is not None and session.dialog.routes == ["<sip:192.0.2.2;lr;early>"]
    rows = [("Record-Route", "<sip:192.0.2.2;lr;a>, <sip:b.example;lr>"), ("Record-Route", "<sip:c.example;lr>")]
    rows[1:] = [("Record-Route", "<sip:192.0.2.2;lr;c>")]
    peer.answer(invite, 200, ANSWER, headers=rows)
    assert session.dialog.routes == ["<sip:192.0.2.2;lr;c>", "<sip:b.example;lr>", "<sip:192.0.2.2;lr;a>"]
    assert peer.take("ACK").all("route") == [", ".join(session.dialog.routes)]


def test_199_ends_one_early_dialog() -> None:
    """RFC 6228."""
    _, alice, peer, session = calling()
    invite = peer.take("INVITE")
    peer.answer(invite, 180, tag="one")
    peer.answer(invite, 180, tag="two")
    peer.answer(invite, 199, tag="one")
    assert session.keys == [dialog_key(session.call_id, session.tag, "two")]
    assert [event.response.status for event in alice.told_of(Progressed)] == [180, 180, 199]


def test_a_2xx_without_contact_and_with_a_broken_route_is_ended_all_the_same() -> None:
    net, _alice, peer, session = calling()
    invite = peer.take("INVITE")
    session.hang_up(net.now)
    peer.answer(invite, 200, ANSWER, headers=[("Record-Route", "<sip:oops")], contact=False)
    assert (peer.take("ACK").uri, peer.take("BYE").uri) == (peer.uri, peer.uri)


# delayed offer -------------------------------------------------------------------------------------------------------


def test_an_offer_in_the_2xx_is_answered_in_the_ack() -> None:
    net = Net()
    alice, peer = Agent(net, "alice"), Peer(net)
    session = alice.call(peer, b"")
    net.run(0.0)
    invite = peer.take("INVITE")
    assert (invite.body, invite.header("content-type")) == (b"", None)
    peer.answer(invite, 200, ANSWER)
    peer.answer(invite, 200, ANSWER)
    assert not peer.took("ACK")
    [established, offer] = alice.events
    assert isinstance(established, Established) and isinstance(offer, DescriptionReceived)
    assert (offer.kind, offer.early, session.negotiation.state) == ("offer", False, "remote")
    with pytest.raises(LocalError):
        session.answer(net.now, b"")
    assert session.answer(net.now, OTHER)
    net.run(0.0)
    assert peer.take("ACK").body == OTHER
    peer.answer(invite, 200, ANSWER)
    assert peer.take("ACK").body == OTHER
    assert (session.negotiation.local, session.negotiation.remote) == (OTHER, ANSWER)
    assert not session.answer(net.now, OTHER)


@pytest.mark.parametrize("how", ["hang_up", "refuse", "nothing"])
def test_an_offer_in_the_2xx_that_is_not_answered(how: str) -> None:
    """The 2xx has to be acknowledged whatever happens; then comes the BYE."""
    net = Net()
    alice, peer = Agent(net, "alice"), Peer(net)
    session = alice.call(peer, b"")
    net.run(0.0)
    peer.answer(peer.take("INVITE"), 200, ANSWER)
    if how == "hang_up":
        session.hang_up(net.now)
    elif how == "refuse":
        assert session.refuse(net.now, 488, "no codec")
    else:
        net.run(21.0)
    net.run(0.0)
    ack, bye = peer.take("ACK"), peer.take("BYE")
    assert (ack.body, ack.cseq.number, bye.cseq.number) == (b"", 1, 2)
    peer.answer(bye, 200)
    cause = ended(alice).cause
    assert (cause.status, cause.by) == {"hang_up": (0, "local"), "refuse": (488, "local"), "nothing": (504, "local")}[
        how
    ]
    settle(net, alice)


def test_a_2xx_without_an_offer_where_one_is_due() -> None:
    net = Net()
    alice, peer = Agent(net, "alice"), Peer(net)
    alice.call(peer, b"")
    net.run(0.0)
    peer.answer(peer.take("INVITE"), 200)
    assert peer.take("ACK").body == b""
    peer.answer(peer.take("BYE"), 200)
    assert ended(alice).cause.status == 488


# reliable provisional responses (RFC 3262) ---------------------------------------------------------------------------

RELIABLE = [("Require", "100rel")]


def reliably(rseq: int) -> list[tuple[str, str]]:
    return [*RELIABLE, ("RSeq", str(rseq))]


def test_a_reliable_response_is_acknowledged_once_and_in_order() -> None:
    _net, alice, peer, _ = calling(reliable="supported")
    invite = peer.take("INVITE")
    assert "100rel" in invite.tokens("supported") and "require" not in invite.names
    peer.answer(invite, 180, headers=reliably(7))
    peer.answer(invite, 180, headers=reliably(7))
    prack = peer.take("PRACK")
    assert (prack.header("rack"), prack.cseq.number, prack.to_tag) == ("7 1 INVITE", 2, "peer-tag")
    assert not peer.took("PRACK")
    peer.answer(prack, 200)
    peer.answer(invite, 183, headers=reliably(9))
    assert not peer.took("PRACK")
    peer.answer(invite, 183, headers=reliably(8))
    assert peer.take("PRACK").header("rack") == "8 1 INVITE"
    assert [event.response.status for event in alice.told_of(Progressed)] == [180, 183]


def test_a_prack_that_has_come_out_of_order_is_sent_again() -> None:
    net, _alice, peer, session = calling(reliable="supported")
    peer.answer(peer.take("INVITE"), 180, headers=reliably(7))
    session.info(net.now, "a/b", b"x")
    net.run(0.0)
    peer.answer(peer.take("PRACK"), 500)
    again = peer.take("PRACK")
    assert (again.header("rack"), again.cseq.number) == ("7 1 INVITE", 4)
    peer.answer(again, 481)
    assert not peer.took("PRACK")


def test_an_answer_in_a_reliable_response_counts() -> None:
    _net, alice, peer, session = calling(reliable="supported")
    invite = peer.take("INVITE")
    peer.answer(invite, 183, ANSWER, headers=reliably(1))
    peer.answer(peer.take("PRACK"), 200)
    assert (session.negotiation.complete, session.negotiation.remote) == (True, ANSWER)
    alice.events.clear()
    peer.answer(invite, 200, THIRD)
    # A description in the 2xx is one too many, and means nothing.
    assert (alice.names(), session.negotiation.remote) == (["Established"], ANSWER)


def test_an_offer_in_a_reliable_response_is_answered_in_the_prack() -> None:
    net = Net()
    alice, peer = Agent(net, "alice", reliable="supported"), Peer(net)
    session = alice.call(peer, b"")
    net.run(0.0)
    invite = peer.take("INVITE")
    peer.answer(invite, 183, ANSWER, headers=reliably(5))
    assert not peer.took("PRACK")
    event = alice.one(DescriptionReceived)
    assert (event.kind, event.early, event.body) == ("offer", True, ANSWER)
    peer.answer(invite, 183, ANSWER, headers=reliably(5))
    assert session.answer(net.now, OTHER)
    net.run(0.0)
    prack = peer.take("PRACK")
    assert (prack.body, prack.header("rack")) == (OTHER, "5 1 INVITE")
    peer.answer(prack, 200)
    peer.answer(invite, 200)
    assert peer.take("ACK").body == b""
    assert session.state == "established"


def test_an_offer_in_a_reliable_response_and_no_answer() -> None:
    net = Net()
    alice, peer = Agent(net, "alice", reliable="supported"), Peer(net)
    session = alice.call(peer, b"")
    net.run(0.0)
    invite = peer.take("INVITE")
    peer.answer(invite, 183, ANSWER, headers=reliably(5))
    session.refuse(net.now)
    net.run(0.0)
    peer.answer(peer.take("CANCEL"), 200)
    peer.answer(invite, 487)
    assert ended(alice).cause.status == 488
    settle(net, alice)


def test_reliability_can_be_required_and_declined() -> None:
    _, _, peer, _ = calling(reliable="required")
    assert peer.take("INVITE").header("require") == "100rel"
    _, alice, peer, _ = calling(reliable="none")
    invite = peer.take("INVITE")
    assert "100rel" not in invite.tokens("supported")
    peer.answer(invite, 180, headers=reliably(1))
    assert (peer.took("PRACK"), alice.names()) == (False, [])


def test_an_unreliable_description_where_we_wait_for_an_offer_means_nothing() -> None:
    net = Net()
    alice, peer = Agent(net, "alice", reliable="supported"), Peer(net)
    session = alice.call(peer, b"")
    net.run(0.0)
    peer.answer(peer.take("INVITE"), 183, ANSWER)
    assert (alice.names(), session.negotiation.state) == (["Progressed"], "idle")


# UPDATE before the answer (RFC 3311) ---------------------------------------------------------------------------------


def test_an_early_update_of_ours() -> None:
    net, alice, peer, session = calling(reliable="supported")
    invite = peer.take("INVITE")
    peer.answer(invite, 183, ANSWER, headers=[*reliably(1), ("Allow", "INVITE, UPDATE")])
    peer.answer(peer.take("PRACK"), 200)
    alice.events.clear()
    session.offer(net.now, OTHER)
    net.run(0.0)
    update = peer.take("UPDATE")
    assert (update.body, update.cseq.number) == (OTHER, 3)
    peer.answer(update, 200, THIRD)
    event = alice.one(Changed)
    assert (event.status, event.body, session.negotiation.local) == (200, THIRD, OTHER)


def test_no_early_update_without_an_answer_or_the_method() -> None:
    net, _, peer, session = calling(reliable="supported")
    with pytest.raises(LocalError):
        session.offer(net.now, OTHER)
    invite = peer.take("INVITE")
    peer.answer(invite, 180, headers=[("Allow", "INVITE, UPDATE")])
    with pytest.raises(LocalError):
        session.offer(net.now, OTHER)
    peer.answer(invite, 183, ANSWER, headers=[*reliably(1), ("Allow", "INVITE")])
    with pytest.raises(LocalError):
        session.offer(net.now, OTHER)


def test_early_updates_of_the_callee() -> None:
    net, alice, peer, session = calling(reliable="supported")
    invite = peer.take("INVITE")
    peer.answer(invite, 180)
    peer.within("UPDATE", invite, alice, OTHER)
    # Our offer is unanswered.
    assert peer.statuses("UPDATE") == [491]
    peer.within("UPDATE", invite, alice)
    assert peer.statuses("UPDATE") == [200]
    peer.answer(invite, 183, ANSWER, headers=reliably(1))
    alice.events.clear()
    peer.within("UPDATE", invite, alice, THIRD)
    assert alice.one(Reoffered).body == THIRD
    assert session.answer(net.now, OTHER)
    net.run(0.0)
    assert peer.response("UPDATE").body == OTHER


# final responses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [300, 400, 404, 420, 480, 486, 491, 500, 503, 600, 603])
def test_a_failure_ends_the_call(status: int) -> None:
    net, alice, peer, session = calling()
    headers = [("Retry-After", "7 (soon)")] if status == 503 else []
    peer.answer(peer.take("INVITE"), status, headers=headers)
    cause = ended(alice).cause
    assert (cause.status, cause.by, cause.retry_after) == (status, "remote", 7 if status == 503 else 0)
    assert (peer.take("ACK").to_tag, session.state) == ("peer-tag", "ended")
    settle(net, alice)


def test_no_response_at_all() -> None:
    net = Net()
    alice = Agent(net, "alice")
    alice.call("sip:nobody@192.0.2.99")
    net.run(31.9)
    assert alice.names() == []
    net.run(0.2)
    cause = ended(alice).cause
    assert (cause.status, cause.by) == (408, "network")
    settle(net, alice)


def test_a_reason_of_the_failure_is_told() -> None:
    """RFC 6432 puts Reason into responses."""
    _, alice, peer, _ = calling()
    peer.answer(peer.take("INVITE"), 480, headers=[("Reason", 'Q.850;cause=16;text="gone fishing"')])
    assert ended(alice).cause.reason == "gone fishing"


def test_a_redirection_is_handed_up() -> None:
    _, alice, peer, _ = calling()
    contacts = [("Contact", "<sip:low@a.example>;q=0.1, <sip:high@b.example>;q=0.9, <sip:top@c.example>")]
    peer.answer(peer.take("INVITE"), 302, headers=contacts)
    assert ended(alice).cause.contacts == ["sip:top@c.example", "sip:high@b.example", "sip:low@a.example"]


def test_a_redirection_is_followed_with_the_same_call_id_and_its_history() -> None:
    """8.1.3.4 and RFC 7044 10.3 rule 4."""
    net, _alice, peer, session = calling(follow=True)
    other = Peer(net, "other")
    first = peer.take("INVITE")
    peer.answer(first, 302, headers=[("Contact", f"<{other.uri};x=y?Subject=evil>")])
    second = other.take("INVITE")
    assert (second.uri, second.call_id, second.required("to")) == (
        f"{other.uri};x=y",
        first.call_id,
        first.required("to"),
    )
    assert (second.required("from"), second.cseq.number, second.body) == (first.required("from"), 2, OFFER)
    assert second.split("history-info") == [
        f"<{peer.uri}?Reason=SIP%3Bcause%3D302%3Btext%3D%22Moved%20Temporarily%22>;index=1",
        f"<{other.uri};x=y>;index=2;mp=1",
    ]
    other.answer(second, 200, ANSWER)
    assert (session.state, other.take("ACK").cseq.number) == ("established", 2)


def test_redirections_in_circles_and_without_end_are_ended() -> None:
    net, alice, peer, _ = calling(follow=True)
    peer.answer(peer.take("INVITE"), 302, headers=[("Contact", f"<{peer.uri}>, <mailto:x@example.org>")])
    assert ended(alice).cause.status == 302
    alice.call(peer)
    net.run(0.0)
    tries = 0
    while peer.took("INVITE"):
        tries += 1
        peer.answer(peer.take("INVITE"), 302, headers=[("Contact", f"<sip:x{tries}@{peer.host}>")])
    assert tries == MOST_TARGETS + 1
    assert ended(alice).cause.status == 302
    settle(net, alice)


def test_the_next_contact_is_tried_when_one_fails_and_none_after_a_6xx() -> None:
    _net, alice, peer, _session = calling(follow=True)
    targets = ", ".join(f"<sip:x{number}@{peer.host}>" for number in range(3))
    peer.answer(peer.take("INVITE"), 300, headers=[("Contact", targets)])
    second = peer.take("INVITE")
    peer.answer(second, 486)
    third = peer.take("INVITE")
    assert [second.uri, third.uri] == [f"sip:x0@{peer.host}", f"sip:x1@{peer.host}"]
    peer.answer(third, 603)
    assert (ended(alice).cause.status, peer.took("INVITE")) == (603, False)


def test_sips_stays_sips() -> None:
    net = Net()
    alice, peer = Agent(net, "alice", ("UDP", "TLS"), follow=True), Peer(net, "peer", ("TLS",))
    alice.call(f"sips:peer@{peer.host}:5060")
    net.run(0.0)
    peer.answer(peer.take("INVITE"), 302, headers=[("Contact", f"<sip:x@{peer.host}>")])
    assert (ended(alice).cause.status, peer.took("INVITE")) == (302, False)


def test_a_422_is_answered_with_a_longer_interval() -> None:
    """RFC 4028 7.3 and 7.4."""
    net, alice, peer, _session = calling(session_expires=100)
    first = peer.take("INVITE")
    assert (first.header("session-expires"), first.header("min-se")) == ("100", None)
    peer.answer(first, 422, headers=[("Min-SE", "600")])
    second = peer.take("INVITE")
    assert (second.header("session-expires"), second.header("min-se"), second.cseq.number) == ("600", "600", 2)
    peer.answer(second, 422, headers=[("Min-SE", "600")])
    assert ended(alice).cause.status == 422
    settle(net, alice)


# hanging up ----------------------------------------------------------------------------------------------------------


def test_hanging_up_before_any_response_waits_with_the_cancel() -> None:
    """9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent"."""
    net, alice, peer, session = calling()
    invite = peer.take("INVITE")
    session.hang_up(net.now)
    session.hang_up(net.now)
    net.run(0.0)
    assert (session.state, peer.took("CANCEL"), alice.names()) == ("ending", False, ["Ended"])
    peer.answer(invite, 100, tag="")
    cancel = peer.take("CANCEL")
    assert (cancel.uri, cancel.cseq.number, cancel.via.branch) == (invite.uri, 1, invite.via.branch)
    peer.answer(cancel, 200)
    peer.answer(invite, 487)
    assert (alice.names(), session.state) == (["Closed"], "ended")
    settle(net, alice)


def test_hanging_up_while_it_rings_says_why() -> None:
    net, alice, peer, session = calling()
    invite = peer.take("INVITE")
    peer.answer(invite, 180)
    session.hang_up(net.now, Cause(487, 'enough "now"'))
    net.run(0.0)
    assert peer.take("CANCEL").header("reason") == 'SIP;cause=487;text="enough \\"now\\""'
    peer.answer(invite, 487)
    assert ended(alice).cause.status == 487
    settle(net, alice)


@pytest.mark.parametrize("first", ["CANCEL", "200"])
def test_a_2xx_that_crosses_the_cancel_is_acknowledged_and_ended(first: str) -> None:
    net, alice, peer, session = calling()
    invite = peer.take("INVITE")
    peer.answer(invite, 180)
    session.hang_up(net.now)
    if first == "CANCEL":
        net.run(0.0)
        assert peer.took("CANCEL")
    peer.answer(invite, 200, ANSWER)
    ack, bye = peer.take("ACK"), peer.take("BYE")
    assert (ack.cseq.number, bye.cseq.number, session.state) == (1, 2, "ending")
    peer.answer(bye, 200)
    assert ended(alice).cause.by == "local"
    peer.answer(invite, 200, ANSWER)
    assert peer.take("ACK").encode() == ack.encode()
    settle(net, alice)


def test_every_2xx_after_hanging_up_is_ended() -> None:
    net, alice, peer, session = calling()
    invite = peer.take("INVITE")
    peer.answer(invite, 180, tag="one")
    session.hang_up(net.now)
    for tag in ("one", "two", "three"):
        peer.answer(invite, 200, ANSWER, tag=tag)
    byes = [peer.take("BYE") for _ in range(3)]
    assert [bye.to_tag for bye in byes] == ["one", "two", "three"]
    for bye in byes:
        assert session.state == "ending"
        peer.answer(bye, 200)
    assert session.state == "ended"
    # Even now.
    peer.answer(invite, 200, ANSWER, tag="four")
    peer.answer(peer.take("BYE"), 200)
    assert len(alice.told_of(Closed)) == 1
    settle(net, alice)


def test_a_cancel_that_leads_to_nothing_ends_after_64_t1() -> None:
    """9.1: the client then considers "the original transaction cancelled"."""
    net, alice, peer, session = calling()
    peer.answer(peer.take("INVITE"), 180)
    session.hang_up(net.now)
    net.run(31.9)
    assert session.state == "ending"
    net.run(0.2)
    assert session.state == "ended"
    settle(net, alice)


def test_hanging_up_while_the_name_is_located() -> None:
    net = Net()
    alice = Agent(net, "alice")
    alice.silent = True
    session = alice.call("sip:bob@slow.example")
    net.run(0.0)
    locate = alice.one(Locate)
    session.hang_up(net.now)
    net.run(0.0)
    assert ended(alice).cause.by == "local"
    alice.core.located(locate.exchange, [], net.now)
    settle(net, alice)


def test_a_cancelled_call_answers_no_challenge_and_follows_nobody() -> None:
    net, alice, peer, session = calling(follow=True)
    invite = peer.take("INVITE")
    session.hang_up(net.now)
    peer.answer(invite, 302, headers=[("Contact", f"<sip:other@{peer.host}>")])
    assert (peer.took("INVITE"), session.state) == (False, "ended")
    settle(net, alice)


def test_a_callee_that_gives_no_sign_of_life_is_cancelled() -> None:
    """As a proxy's timer C (16.6 step 11): 185 s after the last provisional response."""
    net, alice, peer, session = calling()
    invite = peer.take("INVITE")
    peer.answer(invite, 180)
    net.run(150.0)
    peer.answer(invite, 180)
    net.run(184.0)
    assert session.state == "early"
    net.run(2.0)
    cause = alice.one(Ended).cause
    assert (cause.status, cause.by, peer.took("CANCEL")) == (408, "timer", True)


def test_a_bye_in_an_early_dialog() -> None:
    """15 forbids it; but a callee whose 2xx were all lost gives up like that."""
    _net, alice, peer, session = calling()
    invite = peer.take("INVITE")
    peer.answer(invite, 180, tag="peer-tag")
    peer.answer(invite, 180, tag="other")
    peer.within("BYE", invite, alice)
    assert (peer.statuses("BYE"), session.state) == ([200], "early")
    peer.tag = "other"
    peer.within("BYE", invite, alice, headers=[("Reason", "SIP;cause=408")])
    cause = alice.one(Ended).cause
    assert (peer.statuses("BYE"), cause.status, cause.by, peer.took("CANCEL")) == ([200], 408, "remote", True)


# through a proxy -----------------------------------------------------------------------------------------------------


def test_a_forking_proxy_and_two_who_answer_at_once() -> None:
    net = Net(delay=0.1)
    proxy = Domain(net)
    alice, bob, carol = Agent(net, "alice"), Agent(net, "bob"), Agent(net, "carol")
    proxy.users["team"] = [bob.uri, carol.uri]
    session = alice.call("sip:team@example.org")
    net.run(0.5)
    for callee in (bob, carol):
        callee.offered.accept(net.now, ANSWER)
    net.run(3.0)
    assert session.state == "established"
    kept, lost = (bob, carol) if session.dialog and "bob" in session.dialog.remote_target else (carol, bob)
    assert len(kept.core.tu.sessions) == 1
    assert lost.one(Ended).cause.reason == "Call completed elsewhere"
    session.hang_up(net.now)
    net.run(1.0)
    settle(net, alice, bob, carol)


def test_the_others_of_a_fork_hear_that_it_was_answered() -> None:
    net = Net(delay=0.1)
    proxy = Domain(net)
    alice, bob, carol = Agent(net, "alice"), Agent(net, "bob"), Agent(net, "carol")
    proxy.users["team"] = [bob.uri, carol.uri]
    alice.call("sip:team@example.org")
    net.run(0.5)
    bob.offered.accept(net.now, ANSWER)
    net.run(2.0)
    cause = ended(carol).cause
    assert (cause.status, cause.reason, cause.by) == (200, "Call completed elsewhere", "remote")


# forking and what is under way in its early dialogs ------------------------------------------------------------------


def two_early() -> tuple[Net, Agent, Peer, Session, Request]:
    """Two callees ring, the first of which has answered our offer reliably."""
    net, alice, peer, session = calling(reliable="supported")
    invite = peer.take("INVITE")
    peer.answer(invite, 183, ANSWER, headers=[*reliably(1), ("Allow", "INVITE, UPDATE")], tag="one")
    peer.answer(peer.take("PRACK"), 200)
    return net, alice, peer, session, invite


def test_an_update_of_ours_is_over_with_its_early_dialog() -> None:
    net, alice, peer, session, invite = two_early()
    session.offer(net.now, OTHER)
    net.run(0.0)
    update = peer.take("UPDATE")
    peer.answer(invite, 180, tag="two")
    alice.events.clear()
    peer.answer(invite, 200, THIRD, tag="two")
    assert (session.state, alice.one(Changed).status) == ("established", 487)
    # What becomes of it no longer matters to the call.
    peer.answer(update, 481)
    assert (session.state, session.negotiation.remote, alice.told_of(Changed)) == ("established", THIRD, [])


def test_an_answer_to_an_early_update_counts_in_its_own_dialog() -> None:
    net, alice, peer, session, invite = two_early()
    session.offer(net.now, OTHER)
    net.run(0.0)
    peer.answer(invite, 180, tag="two")
    peer.answer(peer.take("UPDATE"), 200, THIRD)
    assert alice.one(Changed).body == THIRD
    # In the other's dialog our first offer is unanswered.
    assert session.negotiation.state == "local"
    peer.answer(invite, 200, tag="one")
    assert (session.negotiation.local, session.negotiation.remote) == (OTHER, THIRD)


def test_an_update_of_a_callee_is_over_when_another_answers() -> None:
    net, alice, peer, session, invite = two_early()
    peer.tag = "one"
    peer.within("UPDATE", invite, alice, OTHER)
    assert alice.told_of(Reoffered)
    peer.answer(invite, 200, THIRD, tag="two")
    assert (peer.statuses("UPDATE"), session.answer(net.now, ANSWER), session.state) == ([487], False, "established")


def test_no_more_2xx_than_anybody_forks_to() -> None:
    net, _alice, peer, session = calling()
    invite = peer.take("INVITE")
    for number in range(MOST_EARLY + 8):
        peer.answer(invite, 200, ANSWER, tag=f"t{number}")
    assert len(net.sent("ACK")) == MOST_EARLY
    assert len(net.sent("BYE")) == MOST_EARLY - 1
    assert session.state == "established"
