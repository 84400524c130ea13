"""Requests and responses: reading their lines, editing them, building them, writing them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import LocalError, ParseError
from ringback.sip.message import (
    Message,
    Request,
    Response,
    build_request,
    build_response,
    checked_line,
    first_position,
    response_to,
)
from ringback.sip.parser import parse
from ringback.sip.uri import parse_uri
from tests.sip.inputs import finishes, hostile, read_views, request, response, steps


def parsed(*extra: str, method: str = "INVITE", body: bytes = b"") -> Request:
    message = parse(request(*extra, method=method, body=body))
    assert isinstance(message, Request)
    return message


class TestReading:
    def test_the_views_of_a_request(self) -> None:
        message = parsed("Contact: <sip:alice@pc33.atlanta.com>, sip:a@b", "Route: <sip:p1;lr>", body=b"x")
        assert (message.method, message.uri, message.start_line) == (
            "INVITE",
            "sip:bob@biloxi.com",
            "INVITE sip:bob@biloxi.com SIP/2.0",
        )
        assert message.target.host == "biloxi.com"
        assert (message.via.transport, message.via.branch) == ("UDP", "z9hG4bK776asdhds")
        assert (message.cseq.number, message.cseq.method) == (314159, "INVITE")
        assert message.call_id == "a84b4c76e66710@pc33.atlanta.com"
        assert (message.from_.display, message.from_.uri.user, message.from_tag) == ("Alice", "alice", "1928301774")
        assert (message.to.display, message.to.uri.user, message.to_tag) == ("Bob", "bob", "")
        assert [address.uri.text for address in message.addresses("contact")] == [
            "sip:alice@pc33.atlanta.com",
            "sip:a@b",
        ]
        assert message.number("max-forwards") == 70
        assert message.number("expires") is None
        assert message.body == b"x"
        assert repr(message) == "<Request INVITE sip:bob@biloxi.com>"
        assert read_views(message) == []

    def test_the_views_of_a_response(self) -> None:
        message = parse(response("180 Ringing"))
        assert isinstance(message, Response)
        assert (message.status, message.reason, message.start_line) == (180, "Ringing", "SIP/2.0 180 Ringing")
        assert (message.to_tag, message.via.received) == ("a6c85cf", "192.0.2.1")
        assert repr(message) == "<Response 180 Ringing>"

    def test_a_view_is_read_once(self) -> None:
        message = parsed()
        assert message.via is message.via
        assert message.cseq is message.cseq
        assert message.target is message.target

    def test_the_target_can_be_known_already(self) -> None:
        message = parsed()
        target = parse_uri("sip:bob@biloxi.com")
        message.know_target(target)
        assert message.target is target
        message.retarget("sip:carol@chicago.com")
        assert (message.target.user, message.start_line) == ("carol", "INVITE sip:carol@chicago.com SIP/2.0")

    def test_header_values(self) -> None:
        message = parsed("W:  one\t", "w: two", "W :", "Subject:", "s2:\u00a0three\u2003")
        assert message.header("w") == "one"
        assert message.all("w") == ["one", "two", ""]
        assert message.header("subject") == ""
        assert message.header("s2") == "\u00a0three\u2003"
        assert message.header("absent") is None
        assert message.all("absent") == []

    @pytest.mark.parametrize(
        ("line", "value"),
        [
            ("W: a\r\n b", "a b"),
            ("W: a \t\r\n\t  b", "a b"),
            ("W:\r\n a", "a"),
            ("W: a\r\n b\r\n c", "a b c"),
            ("W: a\r\n ", "a"),
            ('W: "a\r\n b"', '"a b"'),
        ],
    )
    def test_a_fold_is_one_space(self, line: str, value: str) -> None:
        assert parsed(line).header("w") == value

    def test_lists_over_several_lines(self) -> None:
        message = parsed("Supported: timer, 100rel", "k: Path,,", "Supported:", 'Z: "a,b", <c,d>')
        assert message.split("supported") == ["timer", "100rel", "Path"]
        assert message.tokens("supported") == ["timer", "100rel", "path"]
        assert message.split("z") == ['"a,b"', "<c,d>"]
        assert message.split("absent") == []

    def test_a_header_that_has_to_be_there(self) -> None:
        with pytest.raises(ParseError, match="no Contact header"):
            parsed().required("contact")

    @pytest.mark.parametrize("value", ["", "x", "-1", "256", "1 2"])
    def test_a_number_that_is_none(self, value: str) -> None:
        with pytest.raises(ParseError, match="Expires"):
            parsed(f"Expires: {value}").number("expires", 255)

    def test_a_message_is_one_of_two_kinds(self) -> None:
        with pytest.raises(LocalError):
            assert Message([], [], b"").start_line


class TestEditing:
    def test_prepend_puts_a_line_before_those_of_its_name(self) -> None:
        message = parsed("Record-Route: <sip:p1;lr>")
        message.prepend("record-route", "<sip:p2;lr>")
        message.prepend("v", "SIP/2.0/TCP p2;branch=z9hG4bK2")
        message.prepend("Route", "<sip:p3;lr>")
        assert message.lines[:3] == [
            "Route: <sip:p3;lr>",
            "Via: SIP/2.0/TCP p2;branch=z9hG4bK2",
            "Via: SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bK776asdhds",
        ]
        assert message.all("record-route") == ["<sip:p2;lr>", "<sip:p1;lr>"]
        assert message.via.branch == "z9hG4bK2"

    def test_a_prepended_line_is_seen_by_the_views(self) -> None:
        message = parsed()
        assert message.cseq.number == 314159
        message.remove("cseq")
        message.prepend("CSeq", "2 INVITE")
        assert message.cseq.number == 2

    def test_append_puts_a_line_last(self) -> None:
        message = parsed()
        message.append("x-Own", "1")
        assert (message.names[-1], message.lines[-1]) == ("x-own", "x-Own: 1")

    def test_remove_takes_every_line_of_a_name(self) -> None:
        message = parsed("W: 1", "Z: 2", "w: 3")
        before = len(message.lines)
        message.remove("w")
        message.remove("absent")
        assert len(message.lines) == len(message.names) == before - 2
        assert message.header("z") == "2"

    def test_replace_keeps_the_place_and_drops_the_rest(self) -> None:
        message = parsed("W: 1", "Z: 2", "w: 3", "W: 4")
        place = message.names.index("w")
        message.replace("W", "5")
        message.replace("ZZ", "6")
        assert message.all("w") == ["5"]
        assert message.names.index("w") == place
        assert message.lines[-1] == "ZZ: 6"
        assert len(message.lines) == len(message.names)

    def test_replace_is_seen_by_the_views(self) -> None:
        message = parsed()
        assert (message.via.branch, message.cseq.number) == ("z9hG4bK776asdhds", 314159)
        message.replace("Via", "SIP/2.0/UDP h;branch=other")
        message.replace("CSeq", "1 INVITE")
        assert (message.via.branch, message.cseq.number) == ("other", 1)

    def test_a_line_edited_in_place_can_be_read_again(self) -> None:
        message = parsed()
        assert message.via.branch == "z9hG4bK776asdhds"
        message.lines[message.names.index("via")] = "Via: SIP/2.0/UDP h;branch=other"
        message.reread_via()
        assert message.via.branch == "other"

    @pytest.mark.parametrize(
        ("lines", "left"),
        [
            (["Via: SIP/2.0/UDP a;branch=1"], ["Via: SIP/2.0/UDP z"]),
            (["Via: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b"], ["Via: SIP/2.0/UDP b", "Via: SIP/2.0/UDP z"]),
            (
                ["v :SIP/2.0/UDP a ,\r\n SIP/2.0/UDP b,SIP/2.0/UDP c"],
                ["v : SIP/2.0/UDP b,SIP/2.0/UDP c", "Via: SIP/2.0/UDP z"],
            ),
            (['Via: SIP/2.0/UDP a;x="p,q", SIP/2.0/UDP b'], ["Via: SIP/2.0/UDP b", "Via: SIP/2.0/UDP z"]),
            (['Via: SIP/2.0/UDP a;x="p,q"'], ["Via: SIP/2.0/UDP z"]),
        ],
    )
    def test_the_topmost_via_comes_off(self, lines: list[str], left: list[str]) -> None:
        message = Request("ACK", "sip:a@b", ["via"] * (len(lines) + 1), [*lines, "Via: SIP/2.0/UDP z"], b"")
        assert message.via.host == "a"
        message.remove_first_value("via")
        assert message.lines == left
        assert message.names == ["via"] * len(left)
        assert message.via.host == ("z" if len(left) == 1 else "b")

    @pytest.mark.parametrize(
        ("lines", "left"),
        [
            (["Route: <sip:a;lr>", "W: y", "Route: <sip:b;lr>"], ["W: y", "Route: <sip:b;lr>"]),
            (["Route: <sip:a;lr>,<sip:b;lr> , <sip:c>"], ["Route: <sip:b;lr>, <sip:c>"]),
            (["route: <sip:a,x@h>, <sip:b>"], ["route: <sip:b>"]),
            (["Route: <sip:a,x@h>"], []),
        ],
    )
    def test_the_topmost_route_comes_off(self, lines: list[str], left: list[str]) -> None:
        names = [line.partition(":")[0].lower() for line in lines]
        message = Request("ACK", "sip:a@b", names, list(lines), b"")
        message.remove_first_value("route")
        assert message.lines == left
        assert message.names == [line.partition(":")[0].lower() for line in left]

    def test_there_is_nothing_to_come_off(self) -> None:
        with pytest.raises(LocalError, match="no Route"):
            parsed().remove_first_value("route")

    def test_a_copy_has_lines_of_its_own(self) -> None:
        for message in (parsed(), parse(response())):
            before = message.encode()
            copy = message.copy()
            assert copy.encode() == before
            copy.replace("Call-ID", "x")
            copy.append("Y", "z")
            assert message.encode() == before

    @pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\rb", "\0", "a\0", "\ud800", "a\udfff"])
    def test_nothing_breaks_out_of_a_line(self, value: str) -> None:
        message = parsed()
        before = message.encode()
        for edit in (message.prepend, message.append, message.replace):
            with pytest.raises(LocalError, match="W cannot hold"):
                edit("W", value)
        assert message.encode() == before

    @pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "\u00e9"])
    def test_a_name_has_to_be_a_token(self, name: str) -> None:
        message = parsed()
        for edit in (message.prepend, message.append, message.replace):
            with pytest.raises(LocalError, match="not a header name"):
                edit(name, "x")

    def test_what_came_as_odd_octets_can_be_written(self) -> None:
        assert checked_line("W", "\udc80\udcff\u20ac") == "W: \udc80\udcff\u20ac"
        assert checked_line("W", '"a\\\0"') == 'W: "a\\\0"'


class TestBuilding:
    def test_a_request(self) -> None:
        message = build_request(
            "MESSAGE", "sip:b@c", [("v", "SIP/2.0/TCP h"), ("from", "<sip:a@b>"), ("X-y", "z")], b"hi"
        )
        assert message.encode() == (
            b"MESSAGE sip:b@c SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nFrom: <sip:a@b>\r\nX-y: z\r\nContent-Length: 2\r\n\r\nhi"
        )
        assert message.names == ["via", "from", "x-y", "content-length"]

    def test_a_content_length_that_is_given_is_kept(self) -> None:
        message = build_request("ACK", "sip:b@c", [("l", "0")])
        assert message.all("content-length") == ["0"]

    def test_a_response(self) -> None:
        assert build_response(486, "", [("To", "x")]).encode() == (
            b"SIP/2.0 486 Busy Here\r\nTo: x\r\nContent-Length: 0\r\n\r\n"
        )
        assert build_response(299, "Fine \u20ac", []).encode().startswith("SIP/2.0 299 Fine \u20ac\r\n".encode())

    @pytest.mark.parametrize("method", ["", "INV ITE", "INVITE\r\n", "\u00e9", "a/b"])
    def test_a_method_has_to_be_a_token(self, method: str) -> None:
        with pytest.raises(LocalError, match="not a method"):
            build_request(method, "sip:a@b", [])

    @pytest.mark.parametrize("uri", ["", "sip:a b@c", "sip:a@b\r\nX: y", "<sip:a@b>"])
    def test_the_uri_has_to_be_one(self, uri: str) -> None:
        with pytest.raises(ParseError):
            build_request("INVITE", uri, [])

    @pytest.mark.parametrize("status", [-1, 0, 99, 700, 1000])
    def test_the_status_has_three_digits_of_a_class(self, status: int) -> None:
        with pytest.raises(LocalError, match="not a status"):
            build_response(status, "", [])
        with pytest.raises(LocalError, match="not a status"):
            response_to(parsed(), status)

    @pytest.mark.parametrize("reason", ["a\r\nX: y", "a\n", "\0", "\ud8ff"])
    def test_the_reason_stays_on_its_line(self, reason: str) -> None:
        with pytest.raises(LocalError, match="reason phrase"):
            build_response(400, reason, [])
        with pytest.raises(LocalError, match="reason phrase"):
            response_to(parsed(), 400, reason)


class TestResponses:
    """8.2.6."""

    def test_what_is_copied(self) -> None:
        data = request(
            "v: SIP/2.0/TCP second ,\r\n SIP/2.0/UDP third",
            "Record-Route: <sip:p2;lr>",
            "rEcOrD-rOuTe:<sip:p1;lr>",
            "Timestamp: 54.1",
            "Subject: x",
            "Contact: <sip:a@b>",
        )
        message = parse(data)
        assert isinstance(message, Request)
        answer = response_to(message, 180, "", "b-tag", [("Contact", "<sip:b@c>")])
        assert answer.encode().decode().split("\r\n") == [
            "SIP/2.0 180 Ringing",
            "Via: SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bK776asdhds",
            "To: Bob <sip:bob@biloxi.com>;tag=b-tag",
            "From: Alice <sip:alice@atlanta.com>;tag=1928301774",
            "Call-ID: a84b4c76e66710@pc33.atlanta.com",
            "CSeq: 314159 INVITE",
            "v: SIP/2.0/TCP second ,",
            " SIP/2.0/UDP third",
            "Record-Route: <sip:p2;lr>",
            "rEcOrD-rOuTe:<sip:p1;lr>",
            "Contact: <sip:b@c>",
            "Content-Length: 0",
            "",
            "",
        ]
        assert parse(answer.encode()).encode() == answer.encode()

    @pytest.mark.parametrize(
        ("status", "record_route", "timestamp"),
        [
            (100, False, True),
            (101, True, False),
            (200, True, False),
            (299, True, False),
            (300, False, False),
            (486, False, False),
        ],
    )
    def test_what_depends_on_the_status(self, status: int, record_route: bool, timestamp: bool) -> None:
        answer = response_to(parsed("Record-Route: <sip:p;lr>", "Timestamp: 5"), status)
        assert ("record-route" in answer.names, "timestamp" in answer.names) == (record_route, timestamp)

    @pytest.mark.parametrize(
        ("to", "tag", "line"),
        [
            ("To: <sip:b@c>", "x", "To: <sip:b@c>;tag=x"),
            ("t:sip:b@c", "x", "t:sip:b@c;tag=x"),
            ("To: sip:b@c;a=1 ", "x", "To: sip:b@c;a=1;tag=x"),
            ("To: <sip:b@c>\r\n ;a=1", "x", "To: <sip:b@c>\r\n ;a=1;tag=x"),
            ("To: <sip:b@c>\r\n ", "x", "To: <sip:b@c>;tag=x"),
            ("To: <sip:b@c>;tag=own", "x", "To: <sip:b@c>;tag=own"),
            ("To: <sip:b@c>;TAG=own", "x", "To: <sip:b@c>;TAG=own"),
            ("To: <sip:b@c;tag=uri>", "x", "To: <sip:b@c;tag=uri>;tag=x"),
            ("To: <sip:b@c>", "", "To: <sip:b@c>"),
        ],
    )
    def test_the_tag_of_to(self, to: str, tag: str, line: str) -> None:
        message = parse(request().replace(b"To: Bob <sip:bob@biloxi.com>", to.encode()))
        assert isinstance(message, Request)
        answer = response_to(message, 200, "", tag)
        assert answer.lines[answer.names.index("to")] == line

    def test_body_reason_and_length(self) -> None:
        answer = response_to(parsed(), 200, "Sure", "x", [("Content-Type", "text/plain")], b"ok")
        assert answer.encode().startswith(b"SIP/2.0 200 Sure\r\n")
        assert answer.encode().endswith(b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
        assert response_to(parsed(), 200, headers=[("l", "0")]).all("content-length") == ["0"]


NAMES = st.sampled_from(["Subject", "X-Own", "s", "Contact", "Route", "User-Agent", "Call-Info"])
VALUES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)), max_size=40)


@pytest.mark.parametrize(
    ("key", "start", "position"),
    [("via", 0, 0), ("via", 1, 2), ("via", 2, 2), ("via", 3, -1), ("to", 0, 1), ("from", 0, -1)],
)
def test_where_a_name_stands_first(key: str, start: int, position: int) -> None:
    assert first_position(["via", "to", "via"], key, start) == position


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.binary(max_size=60))
def test_what_is_built_is_read_back(headers: list[tuple[str, str]], body: bytes) -> None:
    needed = [
        ("Via", "SIP/2.0/UDP h;branch=z9hG4bKx"),
        ("From", "<sip:a@b>;tag=1"),
        ("To", "<sip:c@d>"),
        ("Call-ID", "x"),
        ("CSeq", "1 OPTIONS"),
    ]
    built = build_request("OPTIONS", "sip:c@d", [*needed, *headers], body)
    again = parse(built.encode())
    assert isinstance(again, Request)
    assert (again.names, again.lines, again.body) == (built.names, built.lines, body)
    assert [again.value_at(at) for at in range(5, 5 + len(headers))] == [value.strip(" \t") for _, value in headers]
    answer = build_response(200, "", [*needed, *headers], body)
    assert parse(answer.encode()).encode() == answer.encode()


@pytest.mark.parametrize("fold", ["", "\r\n "])
def test_hostile_values_take_time_in_proportion_to_their_length(fold: str) -> None:
    with finishes():
        for _, text in hostile(20000):
            line = f"W: a{fold}{text}"
            message = Request("ACK", "sip:a@b", ["contact", "route"], [f"{line}{fold}b", line], b"")
            read_views(message)
            for key in ("contact", "route"):
                try:
                    message.remove_first_value(key)
                except ParseError:
                    continue


def test_hostile_values_take_steps_in_proportion_to_their_length() -> None:
    def work(text: str) -> int:
        message = Request("ACK", "sip:a@b", ["contact"], [f"Contact: a\r\n {text}"], b"")
        return steps(lambda: read_views(message)) + steps(lambda: message.remove_first_value("contact"))

    for (name, short), (_, long) in zip(hostile(256), hostile(1024), strict=True):
        assert work(long) <= 5 * work(short) + 300, name
