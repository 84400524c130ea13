"""From bytes to messages: what is read, what is refused and with which status, what survives, what can be salvaged."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringback.errors import ParseError
from ringback.sip.headers import SINGLE_NAMES, header_name
from ringback.sip.message import Request, Response, response_to
from ringback.sip.parser import LARGEST_MESSAGE, METHODS, MOST_LINES, MOST_ROUTES, MOST_VIAS, parse, salvage
from tests.sip.inputs import finishes, hostile, read_views, request, response, steps


def refused(data: bytes, status: int = 400) -> str:
    """The text of the error that `data` gives, which has this status."""
    with pytest.raises(ParseError) as caught:
        parse(data)
    assert caught.value.status == status
    return caught.value.reason


class TestStartLines:
    @pytest.mark.parametrize("method", [*sorted(METHODS), "invite", "IN%56ITE", "!interesting-Method_*+`.%'~"])
    def test_a_request_line(self, method: str) -> None:
        message = parse(request(method=method))
        assert isinstance(message, Request)
        assert (message.method, message.uri) == (method, "sip:bob@biloxi.com")

    @pytest.mark.parametrize(
        "uri", ["sip:a@b;lr", "nobodyKnowsThisScheme:totallyopaquecontent", "<sip:a@b>", "*", "\u20ac"]
    )
    def test_the_request_uri_is_read_when_it_is_asked_for(self, uri: str) -> None:
        message = parse(request(uri=uri))
        assert isinstance(message, Request)
        assert message.uri == uri

    @pytest.mark.parametrize(
        ("status", "code", "reason"),
        [
            ("200 OK", 200, "OK"),
            ("100 ", 100, ""),
            ("100", 100, ""),
            ("699  two  spaces ", 699, " two  spaces "),
            ("200 = 2**3 * 5**2 \u043d\u043e", 200, "= 2**3 * 5**2 \u043d\u043e"),
            ("183 SIP/2.0", 183, "SIP/2.0"),
        ],
    )
    def test_a_status_line(self, status: str, code: int, reason: str) -> None:
        message = parse(response(status))
        assert isinstance(message, Response)
        assert (message.status, message.reason) == (code, reason)

    @pytest.mark.parametrize("version", ["SIP/2.0", "sip/2.0", "Sip/2.0"])
    def test_the_version_is_case_insensitive(self, version: str) -> None:
        assert isinstance(parse(request().replace(b" SIP/2.0\r\n", f" {version}\r\n".encode(), 1)), Request)
        assert isinstance(parse(response().replace(b"SIP/2.0 200", f"{version} 200".encode(), 1)), Response)

    @pytest.mark.parametrize("version", ["SIP/7.0", "SIP/1.0", "SIP/2.00", "SIP/2", "sip/3.0", "SIP/"])
    def test_another_version_gives_505(self, version: str) -> None:
        refused(request().replace(b" SIP/2.0\r\n", f" {version}\r\n".encode(), 1), 505)
        refused(response().replace(b"SIP/2.0 200", f"{version} 200".encode(), 1), 505)

    @pytest.mark.parametrize(
        "line",
        [
            "",
            " ",
            "INVITE",
            "INVITE sip:a@b",
            "INVITE sip:a@b HTTP/1.1",
            "INVITE sip:a@b SIP2.0",
            "INVITE  sip:a@b SIP/2.0",
            "INVITE sip:a@b  SIP/2.0",
            "INVITE sip:a@b SIP/2.0 ",
            " INVITE sip:a@b SIP/2.0",
            "INVITE sip:a@b; lr SIP/2.0",
            "INVITE\tsip:a@b\tSIP/2.0",
            "INVITE  SIP/2.0",
            "IN(VITE sip:a@b SIP/2.0",
            "\u00efnvite sip:a@b SIP/2.0",
            "SIP/2.0",
            "SIP/2.0 ",
            "SIP/2.0 20",
            "SIP/2.0 2000 OK",
            "SIP/2.0 4294967301 better not break the receiver",
            "SIP/2.0 099 Low",
            "SIP/2.0 700 High",
            "SIP/2.0 -20 OK",
            "SIP/2.0 \u0662\u0660\u0660 OK",
            "SIP/2.0  200 OK",
        ],
    )
    def test_what_is_none(self, line: str) -> None:
        rest = request().partition(b"\r\n")[2]
        refused(line.encode() + b"\r\n" + rest)

    @pytest.mark.parametrize(
        ("method", "cseq", "status"),
        [
            ("OPTIONS", "8 INVITE", 400),
            ("INVITE", "8 invite", 400),
            ("NEWMETHOD", "8 INVITE", 501),
            ("invite", "8 INVITE", 501),
            ("INVITE", "8", 400),
            ("INVITE", "8 INVITE INVITE", 400),
            ("INVITE", "1: 8 INVITE", 400),
            ("INVITE", "\t1 8 INVITE", 400),
            ("INVITE", "x INVITE", 400),
            ("INVITE", "4294967296 INVITE", 400),
            ("REGISTER", "36893488147419103232 REGISTER", 400),
        ],
    )
    def test_cseq_has_to_name_the_method(self, method: str, cseq: str, status: int) -> None:
        refused(request(method=method).replace(f"CSeq: 314159 {method}".encode(), f"CSeq: {cseq}".encode()), status)

    @pytest.mark.parametrize(
        "line", ["CSeq: 0009   INVITE", "cseq:8 INVITE", "CSEQ : 8\r\n  INVITE", "CSeq:\r\n\t8 INVITE"]
    )
    def test_odd_spellings_of_cseq(self, line: str) -> None:
        message = parse(request().replace(b"CSeq: 314159 INVITE", line.encode()))
        assert message.cseq.method == "INVITE"
        assert message.cseq.number in (8, 9)


class TestHeaderLines:
    def test_names_and_lines(self) -> None:
        message = parse(request("m: <sip:a@b>", "X-Own : 1", "S:\tx", "SUBJECT:y"))
        assert message.names == [
            *("via", "max-forwards", "to", "from", "call-id", "cseq"),
            *("contact", "x-own", "subject", "subject", "content-length"),
        ]
        assert message.lines[6:10] == ["m: <sip:a@b>", "X-Own : 1", "S:\tx", "SUBJECT:y"]

    @pytest.mark.parametrize(
        "line", ["", "Foobar roobar", ":", ": x", " : x", "a b: x", "\u00e9: x", "a\0: x", "a/b: x", "a\r: x", "a\n: x"]
    )
    def test_what_is_none(self, line: str) -> None:
        data = request().replace(b"Max-Forwards: 70", line.encode())
        if line == "":
            # Two CRLFs end the headers.
            assert refused(data) == "no From and no To and no Call-ID and no CSeq header"
        elif line.startswith(" "):
            # A continuation of the Via above it.
            message = parse(data)
            assert message.via.branch == "z9hG4bK776asdhds : x"
        else:
            refused(data)

    @pytest.mark.parametrize(
        "line", ["X: a\rb", "X: a\nb", "X: a\n b", "X: a\r b", "X: \r", "X: a\r\n b\n", "X: a\n\r\n b"]
    )
    def test_a_bare_cr_or_lf_is_no_line_end(self, line: str) -> None:
        assert refused(request(line)).startswith("a bare CR or LF in ")

    def test_lines_that_end_with_lf_alone_are_none(self) -> None:
        assert refused(request().replace(b"\r\n", b"\n")) == "no empty line ends the headers"

    @pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r\n", b"\0" * 100, b"INVITE sip:a@b SIP/2.0\r\n"])
    def test_what_never_ends(self, data: bytes) -> None:
        assert refused(data) == "no empty line ends the headers"

    @pytest.mark.parametrize("lead", [b"\r\n", b"\r\n\r\n", b"\r\n" * 50])
    def test_empty_lines_before_the_message_are_skipped(self, lead: bytes) -> None:
        """7.5."""
        assert parse(lead + request(body=b"x")).encode() == request(body=b"x")

    @pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
    def test_what_has_to_be_there(self, name: str) -> None:
        lines = request().split(b"\r\n")
        kept = [line for line in lines if not line.startswith(f"{name}:".encode())]
        assert len(kept) == len(lines) - 1
        assert refused(b"\r\n".join(kept)) == f"no {name} header"

    def test_max_forwards_may_be_missing(self) -> None:
        """RFC 2543 did not know it."""
        assert parse(request().replace(b"Max-Forwards: 70\r\n", b"")).header("max-forwards") is None

    @pytest.mark.parametrize("name", SINGLE_NAMES)
    def test_what_stands_once(self, name: str) -> None:
        present = name in ("from", "to", "call-id", "cseq", "content-length", "max-forwards")
        spelled = header_name(name).spelled
        assert refused(request(*[f"{name.upper()}: 1"] * (1 if present else 2))) == f"more than one {spelled}"

    @pytest.mark.parametrize(
        "name", ["Subject", "Date", "Server", "User-Agent", "Organization", "X-Own", "Contact", "Route"]
    )
    def test_what_does_not_steer_may_stand_twice(self, name: str) -> None:
        assert parse(request(f"{name}: 1", f"{name}: 2")).all(name.lower()) == ["1", "2"]

    def test_folds(self) -> None:
        data = request(
            "Subject: I know you're there,\r\n pick up the phone\r\n\tand talk to me!", "To2:\r\n x", "W: \r\n "
        )
        message = parse(data)
        assert message.header("subject") == "I know you're there, pick up the phone and talk to me!"
        assert (message.header("to2"), message.header("w")) == ("x", "")
        assert message.encode() == data

    def test_the_first_line_continues_nothing(self) -> None:
        data = b"INVITE sip:a@b SIP/2.0\r\n X: y\r\n" + request().partition(b"\r\n")[2]
        assert refused(data) == "the first header line begins with a space"

    def test_a_fold_of_white_space_does_not_end_the_headers(self) -> None:
        message = parse(request("W: a\r\n \r\n b"))
        assert message.header("w") == "a  b"


class TestBodies:
    @pytest.mark.parametrize(("length", "body"), [(b"0", b""), (b"2", b"ab"), (b"6", b"abcdef"), (b"0003", b"abc")])
    def test_octets_after_the_body_are_dropped(self, length: bytes, body: bytes) -> None:
        """18.3."""
        data = request(body=b"abcdef").replace(b"Content-Length: 6", b"Content-Length: " + length)
        assert parse(data).body == body

    def test_without_content_length_all_that_follows_is_body(self) -> None:
        data = request(body=b"a\r\n\r\nb").replace(b"Content-Length: 6\r\n", b"")
        assert parse(data).body == b"a\r\n\r\nb"

    @pytest.mark.parametrize("body", [b"\0\xff\r\n", bytes(range(256))])
    def test_any_octets(self, body: bytes) -> None:
        data = request(body=body)
        assert parse(data).body == body
        assert parse(data).encode() == data

    def test_a_body_that_is_not_whole(self) -> None:
        data = request(body=b"abc").replace(b"Content-Length: 3", b"l: 4")
        assert refused(data) == "Content-Length is 4, but 3 octets follow"

    @pytest.mark.parametrize(
        "length", ["-999", "five", "", "1 2", "1,1", "+1", "0x1", "\u0661", "1\r\n 2", "\u00a01", "1.0"]
    )
    def test_a_length_that_is_none(self, length: str) -> None:
        data = request(body=b"abc").replace(b"Content-Length: 3", f"Content-Length: {length}".encode())
        assert refused(data).startswith("Content-Length is not a number")

    def test_a_length_beyond_reason(self) -> None:
        for digits in ("2147483649", "9" * 60000):
            data = request().replace(b"Content-Length: 0", f"Content-Length: {digits}".encode())
            assert refused(data).startswith("Content-Length is over 2147483648")

    @pytest.mark.parametrize("line", ["l:3", "L : 3", "CONTENT-LENGTH:\t3 ", "Content-Length:\r\n 3"])
    def test_spellings_of_content_length(self, line: str) -> None:
        data = request(body=b"abcd").replace(b"Content-Length: 4", line.encode())
        assert parse(data).body == b"abc"


class TestBounds:
    def test_the_size_of_a_message(self) -> None:
        room = LARGEST_MESSAGE - len(request(body=b"x" * 10000)) + 10000
        largest = request(body=b"x" * room)
        assert len(largest) == LARGEST_MESSAGE
        assert len(parse(largest).body) == room
        assert refused(largest + b"x", 513) == f"a message of {LARGEST_MESSAGE + 1} octets, over {LARGEST_MESSAGE}"
        assert len(parse(largest + b"x", LARGEST_MESSAGE + 1).body) == room

    def test_how_many_lines(self) -> None:
        filler = [f"X-{count}: x" for count in range(MOST_LINES - 7)]
        assert len(parse(request(*filler)).lines) == MOST_LINES
        assert refused(request(*filler, "X: x"), 513) == f"more than {MOST_LINES} header lines"
        assert refused(request("X: a" + "\r\n b" * MOST_LINES), 513) == f"more than {MOST_LINES} header lines"

    @pytest.mark.parametrize("join", ["\r\nVia: ", ", ", ",", ",\r\n "])
    def test_how_many_vias(self, join: str) -> None:
        def vias(count: int) -> str:
            return "v: " + join.join(f"SIP/2.0/UDP h{number}" for number in range(count))

        assert parse(request(vias(MOST_VIAS - 1))).via.host == "pc33.atlanta.com"
        assert refused(request(vias(MOST_VIAS)), 513) == f"more than {MOST_VIAS} values of Via"
        # The shortest there are, in one line.
        shortest = ["SIP/2.0/a b"] * MOST_VIAS
        assert parse(request("v: " + ",".join(shortest[1:]))).via.host == "pc33.atlanta.com"
        assert refused(request("v: " + ",".join(shortest)), 513) == f"more than {MOST_VIAS} values of Via"

    @pytest.mark.parametrize("name", ["Route", "Record-Route"])
    @pytest.mark.parametrize("join", ["\r\n{}: ", ", "])
    def test_how_many_routes(self, name: str, join: str) -> None:
        def routes(count: int) -> str:
            return f"{name}: " + join.format(name).join(["<sip:p;lr>"] * count)

        assert len(parse(request(routes(MOST_ROUTES))).addresses(name.lower())) == MOST_ROUTES
        assert refused(request(routes(MOST_ROUTES + 1)), 513) == f"more than {MOST_ROUTES} values of {name}"


class TestSurvival:
    """What is not edited goes out as it came in."""

    @pytest.mark.parametrize(
        "line",
        [
            "UnknownHeaderWithUnusualValue: ;;,,;;,;",
            "extensionHeader-!.%*+_`'~:\ufeff\u5927\u505c\u96fb",
            "x-LOWER-upper   :\t two  spaces \t",
            "NewFangledHeader:   newfangled value\r\n continued newfangled value",
            "W:",
            "W: \udcff\udc80 not UTF-8 \udcc3(",
            "W: \0\x01\x7f",
            "rEcOrD-rOuTe:<sip:p;lr>,\r\n\t<sip:q>",
        ],
    )
    def test_a_line_of_its_own_spelling(self, line: str) -> None:
        data = request(line, "Subject: after")
        assert parse(data).encode() == data

    def test_the_order_of_lines(self) -> None:
        lines = request("A: 1", "B: 2", "a: 3").split(b"\r\n")
        data = b"\r\n".join([lines[0], *reversed(lines[1:-2]), b"", b""])
        assert parse(data).encode() == data

    def test_an_edit_leaves_the_other_lines_alone(self) -> None:
        message = parse(request("w :  1 ", "Route: <sip:a;lr>", "w:2"))
        message.replace("Max-Forwards", "69")
        message.prepend("Via", "SIP/2.0/TCP p")
        message.remove_first_value("route")
        assert message.encode() == (
            request("w :  1 ", "w:2")
            .replace(b"Max-Forwards: 70", b"Max-Forwards: 69")
            .replace(b"Via:", b"Via: SIP/2.0/TCP p\r\nVia:", 1)
        )

    @given(
        st.lists(
            st.tuples(
                st.text("abcXYZ-.!%*_+`'~09", min_size=1, max_size=12).map(lambda name: f"X-{name}"),
                st.binary(max_size=30).map(
                    lambda value: value.replace(b"\r", b"").replace(b"\n", b"").decode("utf-8", "surrogateescape")
                ),
            ),
            max_size=10,
        ),
        st.binary(max_size=50),
    )
    def test_any_lines_and_any_body(self, headers: list[tuple[str, str]], body: bytes) -> None:
        data = request(*(f"{name}:{value}" for name, value in headers), body=body)
        assert parse(data).encode() == data


class TestSalvage:
    """Of a request that cannot be read, what a response needs."""

    def test_of_a_sound_request_the_needed_lines(self) -> None:
        salvaged = salvage(request("Subject: x", "v: SIP/2.0/UDP second", body=b"x"))
        assert salvaged is not None
        assert salvaged.encode() == (
            b"INVITE sip:bob@biloxi.com SIP/2.0\r\n"
            b"Via: SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bK776asdhds\r\n"
            b"To: Bob <sip:bob@biloxi.com>\r\n"
            b"From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n"
            b"Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n"
            b"CSeq: 314159 INVITE\r\n"
            b"v: SIP/2.0/UDP second\r\n\r\n"
        )

    @pytest.mark.parametrize(
        "data",
        [
            request("Foobar roobar"),
            request("X: a\rb"),
            request("From: <sip:x@y>;tag=2", "Call-ID: 2", "To: <sip:z@y>", "CSeq: 59 INVITE"),
            request().replace(b"Content-Length: 0", b"Content-Length: 9999"),
            request().replace(b"\r\n\r\n", b"\r\n"),
            request().replace(b" SIP/2.0\r\n", b"  SIP/2.0  \r\n", 1),
            request().replace(b"sip:bob@biloxi.com SIP", b"sip:bob@biloxi.com; lr SIP", 1),
            request().replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1),
            request(*["X: y"] * 300),
            b"\r\n" + request("X"),
        ],
    )
    def test_the_response_says_to_whom_it_answers(self, data: bytes) -> None:
        refused(data, 505 if b"SIP/7.0" in data else 513 if data.count(b"X: y") > 200 else 400)
        salvaged = salvage(data)
        assert salvaged is not None
        answer = parse(response_to(salvaged, 400, "", "t").encode())
        assert (answer.via.branch, answer.cseq.number) == ("z9hG4bK776asdhds", 314159)
        assert (answer.from_tag, answer.to_tag) == ("1928301774", "t")
        assert answer.call_id == "a84b4c76e66710@pc33.atlanta.com"

    def test_a_to_that_cannot_be_read_goes_back_as_it_came(self) -> None:
        salvaged = salvage(request().replace(b"To: Bob <sip:bob@biloxi.com>", b'To: "Bob <sip:bob@biloxi.com>; tag:1'))
        assert salvaged is not None
        answer = response_to(salvaged, 400, "", "t")
        assert answer.lines[answer.names.index("to")] == 'To: "Bob <sip:bob@biloxi.com>; tag:1'

    def test_from_to_and_call_id_may_be_missing(self) -> None:
        data = b"INVITE sip:a@b SIP/2.0\r\nCSeq: 1 INVITE\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n\r\n"
        refused(data)
        salvaged = salvage(data)
        assert salvaged is not None
        assert response_to(salvaged, 400, "", "t").lines == [
            "CSeq: 1 INVITE",
            "Via: SIP/2.0/UDP h;branch=z9hG4bKx",
            "Content-Length: 0",
        ]

    @pytest.mark.parametrize(
        ("via", "line"),
        [
            ("SIP/2.0/UDP 192.0.2.15;;,;,,", "Via: SIP/2.0/UDP 192.0.2.15"),
            ("SIP/2.0/UDP h:5061;;branch=z9hG4bKx;;", "Via: SIP/2.0/UDP h:5061;branch=z9hG4bKx"),
            (
                "SIP/2.0/TCP [2001:db8::1]:5061;received=nowhere;Branch = b",
                "Via: SIP/2.0/TCP [2001:db8::1]:5061;branch=b",
            ),
            ('SIP/2.0/UDP h;x="open', "Via: SIP/2.0/UDP h"),
            ("SIP/7.0/UDP h;branch=b", "Via: SIP/7.0/UDP h;branch=b"),
            ("SIP / 2.0\r\n / UDP\r\n h ;branch=b", "Via: SIP / 2.0\r\n / UDP\r\n h ;branch=b"),
        ],
    )
    def test_a_via_is_cut_down_to_what_can_be_read(self, via: str, line: str) -> None:
        salvaged = salvage(
            request().replace(b"SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bK776asdhds", via.encode())
        )
        assert salvaged is not None
        assert salvaged.lines[0] == line

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\r\n\r\n",
            b"\0" * 100,
            response(),
            request(method="ACK"),
            request().replace(b"INVITE sip", b"IN(ITE sip"),
            request().replace(b" SIP/2.0\r\n", b" HTTP/1.1\r\n", 1),
            request().replace(b"Via:", b"X:"),
            request().replace(b"CSeq:", b"X:"),
            request().replace(b"SIP/2.0/UDP pc33.atlanta.com:5060", b"nonsense"),
            request().replace(b"pc33.atlanta.com:5060", b"p<c>33"),
            request().replace(b"pc33.atlanta.com:5060", b"1.2.3.444"),
        ],
    )
    def test_what_cannot_be_answered(self, data: bytes) -> None:
        assert salvage(data) is None


def check(data: bytes) -> None:
    """Nothing but ParseError comes of `data`, and what is read can be written and read again."""
    salvaged = salvage(data)
    if salvaged is not None:
        response_to(salvaged, 400, "", "t").encode()
    try:
        message = parse(data)
    except ParseError as error:
        assert error.status in (400, 501, 505, 513)
        return
    read_views(message)
    again = message.encode()
    assert parse(again).encode() == again


SOUND = request("Contact: <sip:a@b>", "Route: <sip:p;lr>, <sip:q>", "v: SIP/2.0/TCP h\r\n ;branch=x", body=b"v=0\r\n")


@given(st.binary(max_size=300))
def test_any_octets(data: bytes) -> None:
    check(data)


@given(
    st.integers(0, len(SOUND)),
    st.integers(0, 12),
    st.sampled_from(
        [
            b"",
            b"\r\n",
            b"\r\n ",
            b"\n",
            b"\r",
            b"\0",
            b"\xff",
            b":",
            b";",
            b",",
            b'"',
            b"\\",
            b"<",
            b">",
            b"(",
            b"%",
            b"=",
            b"\r\n\r\n",
        ]
    ),
)
@example(0, 0, b"")
def test_a_sound_request_with_a_dent(start: int, removed: int, inserted: bytes) -> None:
    check(SOUND[:start] + inserted + SOUND[start + removed :])


@given(
    st.lists(st.sampled_from([*SOUND.split(b"\r\n"), b"", b" ", b"\t x", b"Via:", b"To: \xff", b"l: 9"]), max_size=20)
)
def test_lines_in_any_order(lines: list[bytes]) -> None:
    check(b"\r\n".join([SOUND.partition(b"\r\n")[0], *lines, b"", b""]))


def test_a_hostile_message_takes_time_in_proportion_to_its_length() -> None:
    with finishes():
        for _, text in hostile(16000):
            value = text.encode("utf-8", "surrogateescape")
            for data in (
                value,
                request().replace(b"biloxi.com SIP", b"biloxi.com" + value + b" SIP"),
                request("X: " + text),
                request().replace(b"pc33.atlanta.com:5060", value),
                request().replace(b";branch=z9hG4bK776asdhds", value),
                request().replace(b"Bob <sip:bob@biloxi.com>", value),
                request().replace(b"314159 ", value),
                request().replace(b"Max-Forwards: 70", value),
            ):
                check(data)


def test_a_hostile_message_takes_steps_in_proportion_to_its_length() -> None:
    for (name, short), (_, long) in zip(hostile(256), hostile(1024), strict=True):
        few = steps(lambda short=short: check(request("Contact: " + short, short)))
        many = steps(lambda long=long: check(request("Contact: " + long, long)))
        assert many <= 5 * few + 300, name
