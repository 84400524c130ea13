"""The core: what it hands to whom, what it refuses, and its bounds (RFC 3261 8.2, 11, 12.2.2)."""

import pytest

from ringback.errors import LocalError
from ringback.sip.dialog import dialog_from_response
from ringback.sip.message import build_request
from ringback.sip.profile import Profile
from ringback.sip.session_events import Completed, Ended, Offered, Referred, Requested
from ringback.sip.stack import Answered, Cancelled, Expired, Malformed
from ringback.sip.timers import Timed
from tests.sip.agents import ANSWER, OFFER, Agent, Net, Peer, ended, established, pair, settle


def world(**settings: object) -> tuple[Net, Agent, Peer]:
    net = Net()
    return net, Agent(net, "bob", **settings), Peer(net)  # type: ignore[arg-type]


# calls ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "status", "answer"),
    [
        ([("Require", "foo, 100rel")], OFFER, 420, {"unsupported": "foo, 100rel"}),
        ([("Content-Type", "text/plain")], b"x", 415, {"accept": "application/sdp"}),
        ([("Content-Encoding", "gzip")], b"x", 415, {"accept-encoding": "identity"}),
        ([("Accept", "text/plain")], OFFER, 406, {}),
        ([("Contact", "<mailto:x@y>")], OFFER, 400, {}),
        ([("Contact", "<sip:a@b>, <sip:c@d>")], OFFER, 400, {}),
        ([("Record-Route", "<sip:x")], OFFER, 400, {}),
        ([("Session-Expires", "60"), ("Supported", "timer")], OFFER, 422, {"min-se": "90"}),
        ([("Session-Expires", "often")], OFFER, 400, {}),
        ([("Replaces", "x;to-tag=1;from-tag=2")], OFFER, 481, {}),
        ([("Join", "x;to-tag=1;from-tag=2")], OFFER, 481, {}),
        ([("Replaces", "x;to-tag=1;from-tag=2"), ("Join", "x;to-tag=1;from-tag=2")], OFFER, 400, {}),
        ([("Replaces", "x")], OFFER, 400, {}),
    ],
)
def test_calls_that_cannot_be_taken(
    headers: list[tuple[str, str]], body: bytes, status: int, answer: dict[str, str]
) -> None:
    net, bob, peer = world()
    peer.request("INVITE", bob, body, headers)
    response = peer.response("INVITE")
    assert (response.status, bob.names()) == (status, [])
    for name, value in answer.items():
        assert response.header(name) == value
    assert response.to_tag
    assert not bob.core.tu.sessions and not bob.core.tu.dialogs
    settle(net, bob)


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Type", "text/plain"), ("Content-Disposition", "icon;handling=optional")],
        [("Accept", "text/plain, application/*;q=0.5")],
        [("Accept", "*/*")],
        [("Require", "timer, replaces")],
        [("Session-Expires", "60")],
    ],
)
def test_calls_that_can(headers: list[tuple[str, str]]) -> None:
    _, bob, peer = world()
    peer.request("INVITE", bob, OFFER, headers)
    assert bob.names() == ["Offered"]


def test_an_extension_that_is_required_of_the_caller() -> None:
    """21.4.16: 421, with the extension in Require."""
    _, bob, peer = world(reliable="required")
    peer.request("INVITE", bob, OFFER)
    response = peer.response("INVITE")
    assert (response.status, response.header("require")) == (421, "100rel")
    for header in ("Supported", "Require"):
        peer.request("INVITE", bob, OFFER, [(header, "100rel")], call_id=header)
    assert bob.names() == ["Offered", "Offered"]


def test_a_scheme_that_is_not_called() -> None:
    """8.2.2.1: 416."""
    net, bob, peer = world()
    request = build_request(
        "INVITE",
        "mailto:bob@example.org",
        [
            ("Via", f"SIP/2.0/UDP {peer.host}:5060;branch=z9hG4bKx"),
            ("From", "<sip:a@b>;tag=1"),
            ("To", "<sip:c@d>"),
            ("Call-ID", "x"),
            ("CSeq", "1 INVITE"),
            ("Contact", "<sip:a@b>"),
        ],
    )
    net.send(peer, request.encode(), peer.flow(bob), "")
    net.run(0.0)
    assert peer.statuses() == [416]


def test_who_is_called() -> None:
    net, bob, peer = world()
    work = Profile("<sip:robert@work.example>", f"sip:w17@{bob.host}")
    bob.core.profiles.append(work)

    def called(to: str) -> Profile:
        peer.request("INVITE", bob, OFFER, [("To", to)], call_id=f"{bob.name} {to}")
        session = bob.offered
        session.reject(net.now)
        return session.profile

    for user, profile in (("w17", work), ("robert", work), ("bob", bob.profile), ("nobody", bob.profile)):
        # The Request-URI is that of whom the peer calls.
        bob.name = user
        assert called("<sip:someone@else>") is profile
    bob.core.default = None
    assert called("<sip:robert@work.example>") is work
    peer.request("INVITE", bob, OFFER, [("To", "<sip:x@y>")], call_id="last")
    assert peer.statuses()[-1] == 404


def test_no_more_sessions_than_allowed() -> None:
    net, bob, peer = world()
    bob.core.most_sessions = 2
    for number in range(3):
        peer.request("INVITE", bob, OFFER, call_id=f"c{number}")
    response = peer.response("INVITE")
    assert (response.status, response.header("retry-after"), len(bob.told_of(Offered))) == (503, "10", 2)
    with pytest.raises(LocalError):
        bob.call(peer)
    bob.core.most_sessions, bob.core.most_exchanges = 100, 0
    with pytest.raises(LocalError):
        bob.call(peer)
    with pytest.raises(LocalError):
        bob.core.request(build_request("OPTIONS", peer.uri, []), bob.profile, net.now)


def test_a_call_that_has_come_by_two_ways() -> None:
    """8.2.2.2: 482 for the copy."""
    _net, bob, peer = world()
    peer.request("INVITE", bob, OFFER, cseq=1, branch="z9hG4bKone")
    peer.request("INVITE", bob, OFFER, cseq=1, branch="z9hG4bKtwo")
    assert (peer.statuses(), len(bob.told_of(Offered))) == ([482], 1)
    peer.request("OPTIONS", bob, cseq=1, branch="z9hG4bKone")
    peer.request("OPTIONS", bob, cseq=1, branch="z9hG4bKtwo")
    assert (peer.statuses(), len(bob.told_of(Requested))) == ([482], 1)


def test_a_call_that_comes_again_after_it_was_given_up() -> None:
    """A proxy that tries one list of targets after the other may come to the same phone twice."""
    _net, bob, peer = world()
    peer.request("INVITE", bob, OFFER, cseq=1, branch="z9hG4bKone")
    peer.request("CANCEL", bob, cseq=1, branch="z9hG4bKone")
    assert bob.names() == ["Offered", "Ended", "Closed"]
    peer.request("INVITE", bob, OFFER, cseq=1, branch="z9hG4bKtwo")
    assert bob.names() == ["Offered"]


# other requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["BYE", "PRACK", "UPDATE", "INFO"])
def test_requests_that_need_a_dialog(method: str) -> None:
    net, bob, peer = world()
    peer.request(method, bob)
    assert (peer.statuses(), bob.names()) == ([481], [])
    settle(net, bob)


@pytest.mark.parametrize("method", ["INVITE", "BYE", "OPTIONS", "NOTIFY", "REFER", "X"])
def test_requests_in_dialogs_that_are_not_known(method: str) -> None:
    net, bob, peer = world()
    peer.request(method, bob, to=f"<{bob.uri}>;tag=unknown")
    assert (peer.statuses(), bob.names()) == ([481], [])
    settle(net, bob)


def test_an_ack_that_belongs_to_nothing() -> None:
    net, bob, peer = world()
    peer.request("ACK", bob)
    peer.request("ACK", bob, to=f"<{bob.uri}>;tag=unknown")
    assert (peer.got, bob.names()) == ([], [])
    settle(net, bob)


def test_options_say_what_we_are_able_to_do() -> None:
    """11.2."""
    net, bob, peer = world(reliable="supported")
    bob.core.tu.packages.append("message-summary")
    peer.request("OPTIONS", bob)
    event = bob.requested
    bob.core.respond(event.server, event.request, 200, net.now, headers=[("Allow", "OPTIONS")])
    net.run(0.0)
    response = peer.response()
    assert [response.header(name) for name in ("allow", "supported", "accept", "allow-events")] == [
        "OPTIONS",
        "replaces, join, timer, norefersub, histinfo, 100rel",
        "application/sdp",
        "refer, message-summary",
    ]
    settle(net, bob)


def test_405_says_what_is_allowed() -> None:
    net, bob, peer = world()
    peer.request("PUBLISH", bob)
    event = bob.requested
    bob.core.respond(event.server, event.request, 405, net.now)
    net.run(0.0)
    assert peer.response().header("allow") == ", ".join(bob.core.tu.methods)


def test_a_request_that_nobody_answers_is_given_up() -> None:
    net, bob, peer = world()
    peer.request("MESSAGE", bob, b"x")
    settle(net, bob)
    assert peer.statuses() == [100]


def test_no_more_requests_wait_than_allowed() -> None:
    _, bob, peer = world()
    bob.core.most_handed = 2
    for number in range(3):
        peer.request("MESSAGE", bob, b"x", call_id=str(number))
    assert (peer.statuses(), len(bob.told_of(Requested))) == ([503], 2)


def test_what_cannot_be_read_is_answered() -> None:
    _net, bob, peer = world()
    peer.request("INVITE", bob, OFFER, [("Session-Expires", '"')])
    response = peer.response()
    assert response.status == 400
    assert (response.header("warning") or "").startswith('399 ringback "')


# requests of ours ----------------------------------------------------------------------------------------------------


def test_any_request_can_be_sent() -> None:
    net, alice, peer = world(privacy="id", identity="<sip:real@example.org>")
    alice.profile.routes = [f"<sip:{peer.host};lr>"]
    alice.core.tu.agent = "Test/1"
    exchange = alice.core.request(
        build_request("MESSAGE", "sip:carol@there.example", [], b"hi"), alice.profile, net.now
    )
    net.run(0.0)
    message = peer.take("MESSAGE")
    assert (message.uri, message.header("route"), message.from_.uri.text) == (
        "sip:carol@there.example",
        f"<sip:{peer.host};lr>",
        "sip:anonymous@anonymous.invalid",
    )
    assert (message.header("privacy"), message.header("p-preferred-identity")) == ("id", "<sip:real@example.org>")
    assert (message.required("to"), message.cseq.number, message.body) == ("<sip:carol@there.example>", 1, b"hi")
    assert (message.header("user-agent"), message.header("max-forwards")) == ("Test/1", "70")
    peer.answer(message, 100, tag="")
    assert alice.names() == []
    peer.answer(message, 404)
    event = alice.one(Completed)
    assert (event.exchange, event.status) == (exchange, 404)
    settle(net, alice)


def test_what_a_request_has_already_is_kept() -> None:
    net, alice, peer = world()
    alice.profile.routes = ["<sip:elsewhere.example;lr>"]
    given = [
        ("Max-Forwards", "7"),
        ("From", "<sip:me@here>;tag=mine"),
        ("To", "<sip:me@here>"),
        ("Call-ID", "kept"),
        ("CSeq", "17 REGISTER"),
        ("Contact", "<sip:me@192.0.2.1>"),
        ("Supported", "path"),
    ]
    alice.core.request(build_request("REGISTER", f"sip:{peer.host}", given), alice.profile, net.now)
    net.run(0.0)
    register = peer.take("REGISTER")
    for name, value in given:
        assert register.all(name.lower()) == [value]
    assert register.header("route") is None


def test_requests_of_a_dialog_that_is_somebody_elses() -> None:
    """A subscription's, say."""
    net, alice, peer = world()
    exchange = alice.core.request(build_request("SUBSCRIBE", peer.uri, [("Event", "presence")]), alice.profile, net.now)
    net.run(0.0)
    subscribe = peer.take("SUBSCRIBE")
    peer.answer(subscribe, 200)
    response = alice.one(Completed).response
    assert response is not None
    dialog = dialog_from_response(exchange.request, response)
    alice.core.claim(dialog)
    peer.within("NOTIFY", subscribe, alice, headers=[("CSeq", "5 NOTIFY"), ("Event", "presence")])
    event = alice.requested
    alice.core.respond(event.server, event.request, 200, net.now)
    peer.within("NOTIFY", subscribe, alice, headers=[("CSeq", "4 NOTIFY"), ("Event", "presence")])
    assert peer.statuses("NOTIFY") == [200, 500]
    alice.core.request(dialog.request("SUBSCRIBE"), alice.profile, net.now, dialog)
    net.run(0.0)
    refresh = peer.take("SUBSCRIBE")
    assert (refresh.cseq.number, refresh.to_tag) == (2, "peer-tag")
    alice.core.release(dialog)
    alice.core.release(dialog)
    peer.within("NOTIFY", subscribe, alice, headers=[("CSeq", "6 NOTIFY"), ("Event", "presence")])
    assert peer.statuses("NOTIFY") == [481]


# events that are not ours --------------------------------------------------------------------------------------------


def test_events_of_others_are_left_alone() -> None:
    net, alice, peer = world()
    request = build_request(
        "OPTIONS",
        peer.uri,
        [("From", "<sip:a@b>;tag=1"), ("To", "<sip:c@d>"), ("Call-ID", "x"), ("CSeq", "1 OPTIONS")],
    )
    client = alice.stack.request(request, alice.flow(peer), net.now)
    assert not alice.core.handle(Answered(client, None, 408), net.now)
    assert not alice.core.handle(Cancelled(client), net.now)
    assert not alice.core.handle(Expired(Timed(), 1), net.now)
    assert not alice.core.handle(Malformed(alice.flow(peer), "odd", False), net.now)
    assert alice.core.take() == []


def test_which_requests_are_of_its_dialogs() -> None:
    net, alice, bob = pair()
    ours, theirs = established(net, alice, bob)
    assert ours.dialog is not None and theirs.dialog is not None
    assert bob.core.knows(ours.dialog.request("INFO"))
    assert not bob.core.knows(theirs.dialog.request("INFO"))
    assert not bob.core.knows(build_request("INFO", bob.uri, [("To", "<sip:a@b>"), ("From", "<sip:a@b>;tag=1")]))


def test_a_refer_outside_of_any_dialog() -> None:
    net, bob, peer = world()
    peer.request("REFER", bob, headers=[("Refer-To", "<sip:carol@192.0.2.9>"), ("Referred-By", "<sip:x@y>")])
    event = bob.one(Referred)
    assert (event.session, event.refer_to, event.referred_by) == (None, "sip:carol@192.0.2.9", "<sip:x@y>")
    bob.core.refer_accept(event.token, net.now)
    net.run(0.0)
    accepted, notify = peer.response("REFER"), peer.take("NOTIFY")
    assert (accepted.status, accepted.addresses("contact")[0].uri.text) == (202, bob.uri)
    assert (notify.from_tag, notify.header("event"), notify.body) == (
        accepted.to_tag,
        "refer;id=1",
        b"SIP/2.0 100 Trying\r\n",
    )
    peer.answer(notify, 200)
    to = f"<{bob.uri}>;tag={accepted.to_tag}"
    peer.request("SUBSCRIBE", bob, headers=[("Event", "refer"), ("Expires", "0")], to=to)
    assert peer.statuses("SUBSCRIBE") == [200]
    last = peer.take("NOTIFY")
    assert last.header("subscription-state") == "terminated;reason=timeout"
    peer.request("BYE", bob, to=to)
    peer.request("INFO", bob, to=to)
    peer.request("INFO", bob, to=to, cseq=1, branch="z9hG4bKold")
    assert peer.statuses() == [481, 405, 500]
    peer.answer(last, 200)
    peer.request("INFO", bob, to=to)
    assert peer.statuses() == [481]
    settle(net, bob)


@pytest.mark.parametrize(
    ("headers", "status"),
    [([], 400), ([("Refer-To", "<sip:a@b>, <sip:c@d>")], 400), ([("Refer-To", "nonsense")], 400)],
)
def test_a_refer_that_names_nobody(headers: list[tuple[str, str]], status: int) -> None:
    _net, bob, peer = world()
    peer.request("REFER", bob, headers=headers)
    assert (peer.statuses(), bob.names(), bob.core.tu.dialogs) == ([status], [], {})


# the whole -----------------------------------------------------------------------------------------------------------


def test_incoming_is_always_taken_and_order_is_kept() -> None:
    net, alice, bob = pair()
    ours, theirs = established(net, alice, bob)
    ours.info(net.now, "a/b", b"1")
    ours.info(net.now, "a/b", b"2")
    ours.hang_up(net.now)
    net.run(0.0)
    assert bob.names() == ["InfoReceived", "InfoReceived", "Ended", "Closed"]
    assert [event.status for event in alice.told_of(Completed)] == [200, 200]
    assert ended(alice).session is ours
    assert theirs.state == "ended"
    settle(net, alice, bob)


def test_many_calls_at_a_time() -> None:
    net, alice, bob = pair()
    calls = [alice.call(bob) for _ in range(50)]
    net.run(0.0)
    for event in bob.told_of(Offered):
        event.session.accept(net.now, ANSWER)
    net.run(0.0)
    assert {call.state for call in calls} == {"established"}
    assert len({call.call_id for call in calls}) == 50
    for call in calls:
        call.hang_up(net.now)
    net.run(0.0)
    assert len(bob.told_of(Ended)) == 50
    settle(net, alice, bob)


def test_what_is_taken_is_the_takers() -> None:
    _net, alice, _bob = pair()
    alice.call("sip:x@nowhere.example")
    first = alice.core.take()
    assert [type(event).__name__ for event in first] == ["Locate"]
    assert alice.core.take() == []
