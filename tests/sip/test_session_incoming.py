"""The callee's INVITE until it is answered (RFC 3261 13.3, 15; RFC 3262, 4028)."""

import pytest

from ringback.errors import LocalError
from ringback.sip.cause import Cause
from ringback.sip.message import Request
from ringback.sip.session import Session
from ringback.sip.session_events import DescriptionReceived, Ended, Established, Reoffered
from tests.sip.agents import ANSWER, OFFER, OTHER, THIRD, Agent, Net, Peer, ended, settle

SUPPORTED = [("Supported", "100rel, timer")]


def called(
    body: bytes = OFFER, headers: list[tuple[str, str]] | None = None, **settings: object
) -> tuple[Net, Agent, Peer, Session]:
    """A party that the test plays has called Bob."""
    net = Net()
    bob, peer = Agent(net, "bob", **settings), Peer(net)  # type: ignore[arg-type]
    peer.request("INVITE", bob, body, headers)
    return net, bob, peer, bob.offered


def within(peer: Peer, bob: Agent, session: Session, method: str, body: bytes = b"", *headers: tuple[str, str]) -> None:
    """A request of the caller in the dialog."""
    to = f"<{bob.uri}>;tag={session.tag}"
    peer.request(method, bob, body, list(headers), to=to, cseq=1 if method == "ACK" else 0)


def cancel(net: Net, peer: Peer, bob: Agent, *headers: tuple[str, str]) -> None:
    peer.request("CANCEL", bob, b"", list(headers), cseq=1, branch="z9hG4bKINVITE1")


# answering -----------------------------------------------------------------------------------------------------------


def test_a_call_is_offered_and_nothing_but_100_is_sent_by_itself() -> None:
    net, _bob, peer, session = called()
    assert (session.direction, session.state, session.request.body) == ("incoming", "offered", OFFER)
    assert session.remote.uri.text == peer.uri
    net.run(1.0)
    assert peer.statuses() == [100]


def test_ringing_accepting_and_the_ack() -> None:
    net, bob, peer, session = called(info_packages=["foo"])
    session.ring(net.now)
    net.run(0.0)
    ringing = peer.response("INVITE")
    assert (ringing.status, ringing.to_tag, session.state) == (180, session.tag, "early")
    session.accept(net.now, ANSWER)
    net.run(0.0)
    success = peer.response("INVITE")
    assert (success.status, success.to_tag, success.body) == (200, session.tag, ANSWER)
    assert success.addresses("contact")[0].uri.text == bob.uri
    assert success.header("allow") == "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, REFER, NOTIFY, OPTIONS, MESSAGE"
    assert (success.header("supported"), success.header("recv-info")) == (
        "replaces, join, timer, norefersub, histinfo",
        "foo",
    )
    assert (session.state, bob.names()) == ("established", ["Established"])
    within(peer, bob, session, "ACK")
    net.run(40.0)
    assert (peer.statuses(), session.state) == ([], "established")


def test_the_2xx_is_sent_again_until_the_ack_comes() -> None:
    """13.3.1.4: at T1, then twice as long each time, up to T2."""
    net, bob, peer, session = called()
    session.accept(net.now, ANSWER)
    net.run(8.0)
    assert [round(sent.at - 1000.0, 2) for sent in net.sent("200 INVITE")] == [0.0, 0.5, 1.5, 3.5, 7.5]
    within(peer, bob, session, "ACK")
    net.run(60.0)
    assert len(net.sent("200 INVITE")) == 5
    # Another ACK changes nothing.
    within(peer, bob, session, "ACK")
    assert session.state == "established"


def test_the_2xx_is_sent_again_over_streams_too() -> None:
    net = Net()
    bob, alice = Agent(net, "bob", ("TCP",)), Agent(net, "alice", ("TCP",))
    net.drop = lambda sent: sent.line == "200 INVITE" and len(net.sent("200 INVITE")) < 2
    call = alice.call(f"{bob.uri};transport=tcp")
    net.run(0.0)
    bob.offered.accept(net.now, ANSWER)
    net.run(2.0)
    assert (call.state, len(net.sent("200 INVITE")), len(net.sent("ACK"))) == ("established", 3, 1)


def test_no_ack_at_all_ends_the_call_with_a_bye() -> None:
    net, bob, peer, session = called()
    session.accept(net.now, ANSWER)
    net.run(31.9)
    assert (session.state, peer.took("BYE")) == ("established", False)
    net.run(0.2)
    assert (session.state, bob.one(Ended).cause.by) == ("ending", "timer")
    peer.answer(peer.take("BYE"), 200)
    assert session.state == "ended"
    settle(net, bob)


def test_an_ack_with_another_number_is_not_the_one() -> None:
    net, bob, peer, session = called()
    session.accept(net.now, ANSWER)
    peer.request("ACK", bob, to=f"<{bob.uri}>;tag={session.tag}", cseq=2)
    net.run(1.0)
    assert session.success is not None


def test_a_delayed_offer_is_made_in_the_2xx_and_answered_in_the_ack() -> None:
    net, bob, peer, session = called(b"")
    with pytest.raises(LocalError):
        session.accept(net.now)
    session.accept(net.now, ANSWER)
    net.run(0.0)
    assert (peer.response("INVITE").body, session.negotiation.state) == (ANSWER, "local")
    within(peer, bob, session, "ACK", OTHER)
    [established, answer] = bob.events
    assert isinstance(established, Established) and isinstance(answer, DescriptionReceived)
    assert (answer.kind, answer.early, answer.body) == ("answer", False, OTHER)
    assert (session.negotiation.local, session.negotiation.remote) == (ANSWER, OTHER)


def test_an_ack_without_the_answer_ends_the_call() -> None:
    net, bob, peer, session = called(b"")
    session.accept(net.now, ANSWER)
    within(peer, bob, session, "ACK")
    assert peer.took("BYE")
    cause = bob.one(Ended).cause
    assert (cause.status, cause.by) == (400, "remote")


def test_an_answer_in_an_unreliable_response_is_repeated_in_the_2xx() -> None:
    net, _, peer, session = called()
    session.ring(net.now, 183, ANSWER)
    session.accept(net.now)
    net.run(0.0)
    assert [peer.response("INVITE").body for _ in range(2)] == [ANSWER, ANSWER]


def test_commands_that_come_too_late_do_nothing_and_wrong_ones_raise() -> None:
    net, bob, peer, session = called()
    for wrong in (100, 200):
        with pytest.raises(LocalError):
            session.ring(net.now, wrong)
    for wrong in (180, 200, 700):
        with pytest.raises(LocalError):
            session.reject(net.now, wrong)
    with pytest.raises(LocalError):
        session.offer(net.now, OTHER)
    session.reject(net.now)
    session.ring(net.now)
    session.accept(net.now, ANSWER)
    session.reject(net.now)
    session.hang_up(net.now)
    assert not session.answer(net.now, ANSWER) and not session.refuse(net.now)
    with pytest.raises(LocalError):
        session.send("MESSAGE", net.now)
    with pytest.raises(LocalError):
        session.offer(net.now, OTHER)
    net.run(0.0)
    assert peer.statuses() == [486]
    settle(net, bob)


# refusing ------------------------------------------------------------------------------------------------------------


def test_rejecting_with_headers_of_ones_own() -> None:
    net, bob, peer, session = called()
    session.ring(net.now)
    session.reject(net.now, 480, "Asleep", [("Retry-After", "3600")])
    net.run(0.0)
    response = [peer.response("INVITE"), peer.response("INVITE")][1]
    assert (response.status, response.reason, response.header("retry-after"), response.to_tag) == (
        480,
        "Asleep",
        "3600",
        session.tag,
    )
    cause = ended(bob).cause
    assert (cause.status, cause.reason, cause.by) == (480, "Asleep", "local")
    settle(net, bob)


def test_redirecting() -> None:
    net, bob, peer, session = called()
    session.redirect(net.now, ["sip:carol@192.0.2.9", "sip:dave@192.0.2.10"], 300)
    net.run(0.0)
    response = peer.response("INVITE")
    assert (response.status, response.all("contact")) == (300, ["<sip:carol@192.0.2.9>", "<sip:dave@192.0.2.10>"])
    settle(net, bob)


@pytest.mark.parametrize(("cause", "status"), [(None, 480), (Cause(603, "no"), 603), (Cause(200), 480)])
def test_hanging_up_before_the_answer_refuses(cause: Cause | None, status: int) -> None:
    net, bob, peer, session = called()
    session.hang_up(net.now, cause)
    net.run(0.0)
    assert (peer.statuses(), ended(bob).cause.by) == ([status], "local")
    settle(net, bob)


# the caller gives up -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rings", [False, True])
def test_a_cancel(rings: bool) -> None:
    net, bob, peer, session = called()
    if rings:
        session.ring(net.now)
    cancel(net, peer, bob, ("Reason", 'SIP;cause=200;text="Call completed elsewhere"'))
    answered, final = peer.response("CANCEL"), list(peer.got)[-1]
    assert (answered.status, final.status) == (200, 487)  # type: ignore[union-attr]
    # 8.2.6.2: one tag for all responses.
    assert answered.to_tag == final.to_tag == session.tag
    cause = ended(bob).cause
    assert (cause.status, cause.reason, cause.by) == (200, "Call completed elsewhere", "remote")
    settle(net, bob)


def test_a_cancel_without_a_reason() -> None:
    net, bob, peer, _ = called()
    cancel(net, peer, bob)
    cause = ended(bob).cause
    assert (cause.status, cause.reason, cause.by) == (487, "Request Terminated", "remote")


def test_a_cancel_after_the_2xx_changes_nothing() -> None:
    net, bob, peer, session = called()
    session.accept(net.now, ANSWER)
    cancel(net, peer, bob)
    assert (peer.statuses("CANCEL"), session.state) == ([200], "established")


def test_accepting_after_the_cancel_changes_nothing() -> None:
    net, bob, peer, session = called()
    cancel(net, peer, bob)
    session.accept(net.now, ANSWER)
    net.run(0.1)
    assert peer.statuses("INVITE") == [487]


def test_a_bye_in_the_early_dialog() -> None:
    """15: "The caller's UA MAY send a BYE for either confirmed or early dialogs"; 15.1.2: pending requests get 487."""
    net, bob, peer, session = called()
    session.ring(net.now)
    within(peer, bob, session, "BYE", b"", ("Reason", "SIP;cause=487"))
    assert (peer.statuses("BYE"), peer.statuses("INVITE")) == ([200], [180, 487])
    cause = ended(bob).cause
    assert (cause.status, cause.by) == (487, "remote")
    settle(net, bob)


def test_the_expires_of_the_invitation() -> None:
    """13.3.1."""
    net, bob, peer, session = called(headers=[("Expires", "20")])
    session.ring(net.now)
    net.run(19.0)
    assert session.state == "early"
    net.run(2.0)
    assert (peer.statuses("INVITE")[:2], ended(bob).cause.by) == ([180, 487], "timer")
    settle(net, bob)


def test_an_expires_that_is_none_or_was_in_time() -> None:
    net, _, _, session = called(headers=[("Expires", "soon")])
    net.run(100.0)
    assert session.state == "offered"
    net, _, _, session = called(headers=[("Expires", "20")])
    session.accept(net.now, ANSWER)
    net.run(21.0)
    assert session.state == "established"


def test_the_ringing_is_repeated_each_minute() -> None:
    """13.3.1.1: "at every minute, to handle the possibility of lost provisional responses"."""
    net, _, peer, session = called()
    session.ring(net.now, 181)
    net.run(125.0)
    assert peer.statuses() == [181, 181, 181]


# hanging up after the answer -----------------------------------------------------------------------------------------


def test_hanging_up_waits_for_the_ack() -> None:
    """15: "the callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK"."""
    net, bob, peer, session = called()
    session.accept(net.now, ANSWER)
    session.hang_up(net.now, Cause(0, "bye", "local"))
    net.run(2.0)
    assert (peer.took("BYE"), session.state, len(net.sent("200 INVITE"))) == (False, "ending", 3)
    within(peer, bob, session, "ACK")
    bye = peer.take("BYE")
    assert (bye.cseq.number, bye.uri) == (1, peer.uri)
    assert bye.required("from") == f"<{bob.uri}>;tag={session.tag}"
    peer.answer(bye, 200)
    ended(bob)
    settle(net, bob)


def test_hanging_up_without_an_ack_waits_no_longer_than_64_t1() -> None:
    net, bob, peer, session = called()
    session.accept(net.now, ANSWER)
    session.hang_up(net.now)
    net.run(31.9)
    assert not peer.took("BYE")
    net.run(0.2)
    peer.answer(peer.take("BYE"), 481)
    ended(bob)
    settle(net, bob)


def test_a_bye_of_the_caller_while_ours_waits() -> None:
    net, bob, peer, session = called()
    session.accept(net.now, ANSWER)
    session.hang_up(net.now)
    within(peer, bob, session, "BYE")
    assert peer.statuses("BYE") == [200]
    ended(bob)
    net.run(40.0)
    assert not peer.took("BYE")
    settle(net, bob)


# reliable provisional responses (RFC 3262) ---------------------------------------------------------------------------


def prack(peer: Peer, bob: Agent, session: Session, rseq: int, body: bytes = b"", cseq: int = 1) -> None:
    within(peer, bob, session, "PRACK", body, ("RAck", f"{rseq} {cseq} INVITE"))


def rseq_of(request: Request | object) -> int:
    return int(request.header("rseq") or "0")  # type: ignore[attr-defined]


def test_a_reliable_response_is_sent_again_until_its_prack() -> None:
    """Section 3: "with an interval that starts at T1 seconds and doubles for each retransmission"."""
    net, bob, peer, session = called(headers=SUPPORTED, reliable="supported")
    session.ring(net.now)
    net.run(0.0)
    first = peer.response("INVITE")
    rseq = rseq_of(first)
    assert (first.status, first.header("require"), 0 < rseq < 2**31) == (180, "100rel", True)
    net.run(8.0)
    again = net.sent("180 INVITE")
    assert [round(sent.at - 1000.0, 2) for sent in again] == [0.0, 0.5, 1.5, 3.5, 7.5]
    assert {sent.message.encode() for sent in again} == {first.encode()}
    prack(peer, bob, session, rseq)
    assert peer.statuses("PRACK") == [200]
    net.run(40.0)
    assert len(net.sent("180 INVITE")) == 5
    # It is acknowledged: another PRACK has nothing to match.
    prack(peer, bob, session, rseq)
    assert peer.statuses("PRACK") == [481]


def test_a_prack_that_does_not_match() -> None:
    net, bob, peer, session = called(headers=SUPPORTED, reliable="supported")
    session.ring(net.now)
    net.run(0.0)
    rseq = rseq_of(peer.response("INVITE"))
    prack(peer, bob, session, rseq + 1)
    prack(peer, bob, session, rseq, cseq=2)
    within(peer, bob, session, "PRACK", b"", ("RAck", f"{rseq} 1 UPDATE"))
    assert peer.statuses("PRACK") == [481, 481, 481]
    within(peer, bob, session, "PRACK", b"", ("RAck", "nonsense"))
    within(peer, bob, session, "PRACK")
    assert peer.statuses("PRACK") == [400, 400]


def test_one_reliable_response_after_the_other() -> None:
    net, bob, peer, session = called(headers=SUPPORTED, reliable="supported")
    for status in (180, 181, 183):
        session.ring(net.now, status)
    net.run(0.0)
    got = []
    for _ in range(3):
        response = peer.response("INVITE")
        got.append((response.status, rseq_of(response)))
        assert peer.statuses("INVITE") == []
        prack(peer, bob, session, rseq_of(response))
    first = got[0][1]
    assert got == [(180, first), (181, first + 1), (183, first + 2)]


def test_no_prack_in_64_t1_refuses_the_call() -> None:
    net, bob, peer, session = called(headers=SUPPORTED, reliable="supported")
    session.ring(net.now)
    net.run(31.9)
    assert session.state == "early"
    net.run(0.2)
    assert peer.statuses("INVITE")[-1] == 504
    cause = ended(bob).cause
    assert (cause.status, cause.by) == (504, "timer")
    settle(net, bob)


def test_a_final_response_stops_the_retransmissions() -> None:
    net, bob, _peer, session = called(headers=SUPPORTED, reliable="supported")
    session.ring(net.now)
    session.reject(net.now)
    net.run(0.0)
    net.wire.clear()
    net.run(40.0)
    assert net.sent("180 INVITE") == []
    settle(net, bob)


def test_a_2xx_waits_for_the_prack_of_a_description_but_not_of_ringing() -> None:
    """Section 3: it "MUST NOT send a final response until those provisional responses are acknowledged"."""
    net, bob, peer, session = called(headers=SUPPORTED, reliable="supported")
    session.ring(net.now, 183, ANSWER)
    session.accept(net.now)
    session.accept(net.now)
    session.ring(net.now, 180)
    net.run(0.0)
    early = peer.response("INVITE")
    assert (early.body, peer.statuses("INVITE"), session.state) == (ANSWER, [], "early")
    prack(peer, bob, session, rseq_of(early))
    assert [peer.response("PRACK").status, peer.response("INVITE").body] == [200, b""]
    assert session.state == "established"

    net, _, peer, session = called(headers=SUPPORTED, reliable="supported")
    session.ring(net.now)
    session.accept(net.now, ANSWER)
    net.run(0.0)
    assert peer.statuses("INVITE") == [180, 200]


def test_the_prack_that_the_2xx_waits_for_never_comes() -> None:
    net, bob, peer, session = called(headers=SUPPORTED, reliable="supported")
    session.ring(net.now, 183, ANSWER)
    session.accept(net.now)
    net.run(33.0)
    assert (peer.statuses("INVITE")[-1], ended(bob).cause.status) == (504, 504)


def test_hanging_up_while_the_2xx_waits() -> None:
    net, bob, peer, session = called(headers=SUPPORTED, reliable="supported")
    session.ring(net.now, 183, ANSWER)
    session.accept(net.now)
    session.hang_up(net.now)
    net.run(0.0)
    assert peer.statuses("INVITE") == [183, 480]
    settle(net, bob)


def test_an_offer_in_a_reliable_response_is_answered_by_the_prack() -> None:
    """Section 5."""
    net, bob, peer, session = called(b"", SUPPORTED, reliable="supported")
    session.ring(net.now, 180)
    net.run(0.0)
    # Without a description the first reliable response may not be sent, where it need not be reliable.
    assert "rseq" not in peer.response("INVITE").names
    session.ring(net.now, 183, ANSWER)
    net.run(0.0)
    early = peer.response("INVITE")
    prack(peer, bob, session, rseq_of(early), OTHER)
    event = bob.one(DescriptionReceived)
    assert (event.kind, event.early, event.body) == ("answer", True, OTHER)
    assert session.negotiation.complete
    session.accept(net.now)
    net.run(0.0)
    assert [peer.response("PRACK").status, peer.response("INVITE").body] == [200, b""]


def test_an_offer_in_the_prack_is_answered_in_its_2xx() -> None:
    net, bob, peer, session = called(headers=SUPPORTED, reliable="supported")
    session.ring(net.now, 183, ANSWER)
    net.run(0.0)
    prack(peer, bob, session, rseq_of(peer.response("INVITE")), OTHER)
    assert (bob.one(Reoffered).body, peer.statuses("PRACK")) == (OTHER, [])
    assert session.answer(net.now, THIRD)
    net.run(0.0)
    response = peer.response("PRACK")
    assert (response.status, response.body, response.header("content-type")) == (200, THIRD, "application/sdp")
    assert (session.negotiation.local, session.negotiation.remote) == (THIRD, OTHER)


@pytest.mark.parametrize(
    ("ours", "theirs", "asked", "reliable"),
    [
        ("none", "Supported", None, False),
        ("supported", "Supported", None, True),
        ("supported", "Supported", False, False),
        ("supported", "Require", False, True),
        ("required", "Supported", False, True),
        ("supported", "X-Nothing", True, False),
    ],
)
def test_who_wants_it_reliable(ours: str, theirs: str, asked: bool | None, reliable: bool) -> None:
    net, _, peer, session = called(headers=[(theirs, "100rel")], reliable=ours)
    session.ring(net.now, 180, b"", asked)
    net.run(0.0)
    assert ("rseq" in peer.response("INVITE").names) is reliable


def test_a_prack_where_none_is_due() -> None:
    net, bob, peer, session = called()
    session.ring(net.now)
    prack(peer, bob, session, 1)
    assert peer.statuses("PRACK") == [481]


def test_the_callee_updates_once_its_answer_is_acknowledged() -> None:
    """RFC 3311 5.1."""
    net, bob, peer, session = called(headers=[*SUPPORTED, ("Allow", "UPDATE")], reliable="supported")
    session.ring(net.now, 183, ANSWER)
    with pytest.raises(LocalError):
        session.offer(net.now, OTHER)
    net.run(0.0)
    prack(peer, bob, session, rseq_of(peer.response("INVITE")))
    session.offer(net.now, OTHER)
    net.run(0.0)
    assert peer.take("UPDATE").body == OTHER


# session timers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expires", "require"),
    [
        ([("Supported", "timer"), ("Session-Expires", "1800")], "1800;refresher=uac", "timer"),
        ([("Supported", "timer"), ("Session-Expires", "1800;refresher=uas")], "1800;refresher=uas", "timer"),
        ([("Session-Expires", "1800")], "1800;refresher=uas", None),
        ([("Supported", "timer")], "900;refresher=uac", "timer"),
        ([], None, None),
    ],
)
def test_the_session_timer_in_the_2xx(headers: list[tuple[str, str]], expires: str | None, require: str | None) -> None:
    """RFC 4028 table 2."""
    net, _, peer, session = called(headers=headers, session_expires=1800 if expires != "900;refresher=uac" else 900)
    session.accept(net.now, ANSWER)
    net.run(0.0)
    response = peer.response("INVITE")
    assert (response.header("session-expires"), response.header("require")) == (expires, require)
