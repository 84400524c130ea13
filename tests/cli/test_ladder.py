"""The ladder: columns, arrows and labels, to the character."""

import time
from typing import Any

import pytest

from ringback.cli.ladder import COLUMN, MARGIN, Ladder

AT = 1_700_000_000.25
ALICE, BOB, CAROL, DAVE = (f"udp:192.0.2.{number}:5060" for number in (1, 2, 3, 4))


@pytest.fixture(autouse=True)
def greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def message(peer: str, first: str, *, received: bool, cseq: str = "1 INVITE", rest: str = "") -> dict[str, Any]:
    text = f"{first}\r\nVia: x\r\n{rest}\r\n"
    return {"kind": "message", "at": AT, "peer": peer, "received": received, "cseq": cseq, "text": text}


def shown(ladder: Ladder, *entries: dict[str, Any], raw: bool = False) -> list[str]:
    return [line.plain for entry in entries for line in ladder.lines(entry, raw)]


INVITE = message(ALICE, "INVITE sip:bob@d.test SIP/2.0", received=True)


def test_a_call_as_it_looks() -> None:
    found = shown(
        Ladder(120),
        INVITE,
        message(BOB, "INVITE sip:bob@192.0.2.2 SIP/2.0", received=False),
        message(BOB, "SIP/2.0 180 Ringing", received=True),
        message(ALICE, "SIP/2.0 100 Trying", received=False),
    )
    assert found == [
        "22:13:20.250     udp:192.0.2.1:5060           ringback",
        "22:13:20.250              │─────── INVITE ───────▶│  sip:bob@d.test",
        "22:13:20.250     udp:192.0.2.1:5060           ringback           udp:192.0.2.2:5060",
        "22:13:20.250              │                       │─────── INVITE ───────▶│  sip:bob@192.0.2.2",
        "22:13:20.250              │                       │◀─ 180 Ringing INVITE ─│",
        "22:13:20.250              │◀───── 100 Trying ─────│                       │",
    ]


def test_without_unicode() -> None:
    found = shown(Ladder(120, ascii_only=True), INVITE, message(ALICE, "SIP/2.0 200 OK", received=False))
    assert all(line.isascii() for line in found)
    assert "|------- INVITE ------->|" in found[1] and "|<--- 200 OK INVITE ----|" in found[2]


def test_names_stand_over_their_columns() -> None:
    header, arrow = shown(Ladder(120), INVITE)
    for name, number in ((ALICE, 0), ("ringback", 1)):
        middle = MARGIN + number * COLUMN + COLUMN // 2
        assert arrow[middle] == "│"
        assert abs(header.index(name) + len(name) // 2 - middle) <= 1


def test_the_end_of_a_long_name_is_what_tells_it_apart() -> None:
    peer = "tls:[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:49152"
    header, _ = shown(Ladder(120), message(peer, "INVITE sip:b@d SIP/2.0", received=True))
    assert peer[-COLUMN + 1 :] in header and peer not in header


def test_a_label_that_does_not_fit_is_cut_and_the_arrow_stays() -> None:
    _, arrow = shown(Ladder(120), message(ALICE, f"SIP/2.0 480 {'Temporarily ' * 5}Unavailable", received=True))
    begin, end = MARGIN + COLUMN // 2, MARGIN + COLUMN + COLUMN // 2
    assert len(arrow) == end + 1 and (arrow[begin], arrow[end - 1 :]) == ("│", "▶│")


def test_a_message_crosses_the_columns_between() -> None:
    """The second and third peer are on the right: an arrow to the third passes the second's line."""
    ladder = Ladder(120)
    shown(ladder, INVITE, message(BOB, "INVITE sip:b@2 SIP/2.0", received=False))
    *_, arrow = shown(ladder, message(CAROL, "INVITE sip:b@3 SIP/2.0", received=False))
    server, third = MARGIN + COLUMN + COLUMN // 2, MARGIN + 3 * COLUMN + COLUMN // 2
    assert (arrow[server], arrow[third - 1], arrow[third]) == ("│", "▶", "│")
    assert arrow[server + 1 : third - 1].strip("─") == " INVITE "


def test_who_was_silent_for_longest_makes_room() -> None:
    """Three columns of peers and the server's fit into this width; the fourth peer takes the place of the second."""
    ladder = Ladder(MARGIN + 4 * COLUMN)
    for peer in (ALICE, BOB, CAROL, ALICE):
        shown(ladder, message(peer, "OPTIONS sip:d SIP/2.0", received=True))
    header, arrow = shown(ladder, message(DAVE, "OPTIONS sip:d SIP/2.0", received=True))
    places = [header.index(name) for name in (ALICE, "ringback", DAVE, CAROL)]
    assert places == sorted(places) and BOB not in header
    assert "◀" in arrow, "from the right to the server"
    assert len(shown(ladder, message(CAROL, "OPTIONS sip:d SIP/2.0", received=True))) == 1, "no header: it has a column"


@pytest.mark.parametrize("width", [0, 10, 86])
def test_a_narrow_terminal_has_three_columns_all_the_same(width: int) -> None:
    ladder = Ladder(width)
    for peer in (ALICE, BOB, CAROL):
        header, _ = shown(ladder, message(peer, "OPTIONS sip:d SIP/2.0", received=True))
    assert ALICE not in header and BOB in header and CAROL in header and "ringback" in header


def decision(**values: Any) -> dict[str, Any]:
    return {"kind": "decision", "at": AT, "what": "forward", "status": 0, "target": "", "reason": "binding", **values}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"target": "sip:bob@192.0.2.2"}, "forward sip:bob@192.0.2.2: binding"),
        ({"what": "refuse", "status": 403, "reason": "no relay"}, "refuse 403: no relay"),
        ({"what": "answer", "status": 302, "target": "sip:x", "reason": "moved"}, "answer 302 sip:x: moved"),
    ],
)
def test_a_decision_stands_under_the_server(values: dict[str, Any], text: str) -> None:
    assert shown(Ladder(120), decision(**values)) == [f"22:13:20.250{'':{MARGIN - 12 + COLUMN + COLUMN // 2}}{text}"]


def test_what_was_left_out_is_told() -> None:
    [line] = shown(Ladder(120), {"kind": "dropped", "count": 17})
    assert line == "… 17 left out: they came faster than they were shown"


def test_whole_messages_on_demand() -> None:
    entry = message(ALICE, "BYE sip:bob@d.test SIP/2.0", received=True, rest="X: 1\r\n\r\nbody\r\n")
    assert len(shown(Ladder(120), entry)) == 2
    assert [line.strip() for line in shown(Ladder(120), entry, raw=True)[2:]] == [
        *("BYE sip:bob@d.test SIP/2.0", "Via: x", "X: 1", "", "body", "")
    ]


@pytest.mark.parametrize(
    ("first", "style"),
    [
        *(("SIP/2.0 183 P", "cyan"), ("SIP/2.0 200 OK", "green"), ("SIP/2.0 302 M", "magenta")),
        *(("SIP/2.0 404 N", "red"), ("SIP/2.0 603 D", "red"), ("INVITE sip:a@b SIP/2.0", "bold")),
    ],
)
def test_colours(first: str, style: str) -> None:
    *_, line = Ladder(120).lines(message(ALICE, first, received=True))
    assert style in {str(span.style) for span in line.spans}


def test_nothing_from_the_network_steers_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x9b31m\u202e"
    ladder = Ladder(200)
    entries = [
        message(ALICE, f"INVITE sip:{evil}@d SIP/2.0", received=True, rest=f"X: {evil}\r\n"),
        message(ALICE, f"SIP/2.0 200 {evil}", received=False, cseq=f"1 {evil}"),
        decision(target=f"sip:{evil}", reason=evil, what=evil),
    ]
    for line in shown(ladder, *entries, raw=True):
        assert line.isprintable(), line
        assert "owned" in line or evil not in line
