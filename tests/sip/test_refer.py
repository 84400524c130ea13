"""What REFER and NOTIFY hold (RFC 3515, 3420, 4488, 6665); what becomes of them is in test_session_refer."""

import pytest

from ringback.errors import ParseError
from ringback.sip.message import Request, build_request, build_response
from ringback.sip.refer import (
    event_identity,
    read_refer_to,
    read_subscription_state,
    refer_headers,
    status_of_fragment,
    without_subscription,
)
from ringback.sip.session_events import ReferProgress, Referred
from tests.sip.agents import Agent, Net, Peer, established, pair, settle


def request(*headers: tuple[str, str]) -> Request:
    return build_request("NOTIFY", "sip:a@b", list(headers))


def test_refer_to() -> None:
    value = "Carol <sip:carol@cleveland.example.org;method=INVITE?Replaces=a%40b%3Bto-tag%3D1>;x=y"
    assert read_refer_to(request(("Refer-To", value))) == (
        "sip:carol@cleveland.example.org;method=INVITE?Replaces=a%40b%3Bto-tag%3D1"
    )
    assert read_refer_to(request(("Refer-To", "sip:dave@denver.example.org"))) == "sip:dave@denver.example.org"
    for wrong in ([], [("Refer-To", "<sip:a@b>, <sip:c@d>")], [("Refer-To", "oops")]):
        with pytest.raises(ParseError):
            read_refer_to(request(*wrong))


def test_the_headers_of_a_refer() -> None:
    assert refer_headers("sip:a@b", "", True) == [("Refer-To", "<sip:a@b>")]
    assert refer_headers("sip:a@b", "<sip:me@x>", False) == [
        ("Refer-To", "<sip:a@b>"),
        ("Referred-By", "<sip:me@x>"),
        ("Refer-Sub", "false"),
    ]


@pytest.mark.parametrize(
    ("value", "none"), [(None, False), ("true", False), ("false", True), ("False ;x=y", True), ("falsely", False)]
)
def test_without_a_subscription(value: str | None, none: bool) -> None:
    response = build_response(202, "", [] if value is None else [("Refer-Sub", value)])
    assert without_subscription(response) is none


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("refer", ("refer", -1)),
        ("Refer ; ID=93809823", ("refer", 93809823)),
        ("refer;id=x", ("refer", -1)),
        ("presence;id=1", ("presence", 1)),
    ],
)
def test_event(value: str, found: tuple[str, int]) -> None:
    assert event_identity(request(("Event", value))) == found
    assert event_identity(request()) == ("", -1)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("active", ("active", "", -1)),
        ("Active;Expires=60", ("active", "", 60)),
        ("terminated;reason=NoResource;retry-after=5", ("terminated", "noresource", -1)),
        ("pending;expires=soon", ("pending", "", -1)),
    ],
)
def test_subscription_state(value: str, found: tuple[str, str, int]) -> None:
    state = read_subscription_state(request(("Subscription-State", value)))
    assert (state.state, state.reason, state.expires) == found
    with pytest.raises(ParseError):
        read_subscription_state(request())


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"SIP/2.0 100 Trying\r\n", (100, "Trying")),
        (b"SIP/2.0 200 OK\r\nTo: x\r\n", (200, "OK")),
        (b"\r\nsip/2.0 486 Busy  Here\n", (486, "Busy  Here")),
        (b"SIP/2.0 603", (603, "")),
        (b"SIP/2.0 99 x", (0, "")),
        (b"SIP/2.0 1000 x", (0, "")),
        (b"SIP/3.0 200 OK", (0, "")),
        (b"INVITE sip:a@b SIP/2.0", (0, "")),
        (b"", (0, "")),
        (b"\xff\xfe", (0, "")),
    ],
)
def test_the_status_line_of_a_fragment(body: bytes, found: tuple[int, str]) -> None:
    assert status_of_fragment(body) == found


# the machine ---------------------------------------------------------------------------------------------------------

# (state, event) to (statuses of the REFER, bodies of NOTIFYs with their states, next state).
TABLE = {
    ("asked", "accept"): ([202], ["100 active"], "active"),
    ("asked", "reject"): ([603], [], "done"),
    ("asked", "progress"): ([], [], "asked"),
    ("asked", "final"): ([], [], "asked"),
    ("asked", "time"): ([480], [], "done"),
    ("asked", "refused"): ([], [], "asked"),
    ("active", "accept"): ([], [], "active"),
    ("active", "reject"): ([], [], "active"),
    ("active", "progress"): ([], ["180 active"], "active"),
    ("active", "final"): ([], ["200 terminated"], "done"),
    ("active", "time"): ([], ["100 terminated"], "done"),
    ("active", "refused"): ([], ["180 active"], "done"),
    ("done", "accept"): ([], [], "done"),
    ("done", "reject"): ([], [], "done"),
    ("done", "progress"): ([], [], "done"),
    ("done", "final"): ([], [], "done"),
    ("done", "time"): ([], [], "done"),
    ("done", "refused"): ([], [], "done"),
}


@pytest.mark.parametrize(("state", "event"), TABLE)
def test_every_state_and_event(state: str, event: str) -> None:
    net = Net()
    bob, peer = Agent(net, "bob"), Peer(net)
    peer.request("REFER", bob, headers=[("Refer-To", "<sip:carol@192.0.2.9>")])
    token = bob.one(Referred).token

    def answer(status: int) -> list[str]:
        told = []
        while peer.took("NOTIFY"):
            notify = peer.take("NOTIFY")
            words = notify.body.split()
            told.append(f"{words[1].decode()} {notify.required('subscription-state').partition(';')[0]}")
            peer.answer(notify, status)
        return told

    if state == "active":
        token.accept(net.now)
    elif state == "done":
        token.reject(603, net.now)
    net.run(0.0)
    answer(200)
    peer.statuses("REFER")
    if event == "accept":
        token.accept(net.now)
    elif event == "reject":
        token.reject(603, net.now)
    elif event in ("progress", "refused"):
        token.progress(180, "", net.now)
    elif event == "final":
        token.progress(200, "", net.now)
    else:
        net.run(181.0 if state == "active" else 21.0)
    net.run(0.0)
    told = answer(481 if event == "refused" else 200)
    statuses, notifies, after = TABLE[state, event]
    assert [status for status in peer.statuses("REFER") if status > 100] == statuses
    assert (told, token.state) == (notifies, after)
    assert bool(bob.core.tu.dialogs) is (after != "done")


def test_a_notify_whose_answer_never_comes() -> None:
    net, alice, bob = pair()
    ours, theirs = established(net, alice, bob)
    ours.refer(net.now, "sip:carol@192.0.2.9")
    net.run(0.0)
    token = bob.one(Referred).token
    net.drop = lambda sent: sent.line == "NOTIFY"
    token.accept(net.now)
    net.run(33.0)
    assert token.state == "done"
    assert alice.told_of(ReferProgress)[-1].final
    net.drop = None
    theirs.hang_up(net.now)
    net.run(0.0)
    settle(net, alice, bob)
