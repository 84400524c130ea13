"""The headers that steer a message: names, Via, addresses, tags and CSeq."""

import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import ParseError
from ringback.sip.headers import (
    COMPACT,
    KNOWN_NAMES,
    MOST_VIA_PARAMETERS,
    ROUTE_BIT,
    SINGLE_NAMES,
    VIA_BIT,
    NameAddr,
    header_name,
    is_plain_address,
    parse_cseq,
    parse_name_addr,
    parse_name_addrs,
    parse_via,
    tag_of,
)
from ringback.sip.uri import parse_uri
from tests.sip.inputs import finishes, hostile, steps


class TestNames:
    @pytest.mark.parametrize(
        ("spelled", "key", "written"),
        [
            ("Via", "via", "Via"),
            ("VIA", "via", "Via"),
            ("vIA", "via", "Via"),
            ("v", "via", "Via"),
            ("V", "via", "Via"),
            ("call-id", "call-id", "Call-ID"),
            ("CALL-ID", "call-id", "Call-ID"),
            ("Call-Id", "call-id", "Call-ID"),
            ("cSeQ", "cseq", "CSeq"),
            ("www-authenticate", "www-authenticate", "WWW-Authenticate"),
            ("Mime-Version", "mime-version", "MIME-Version"),
            ("rack", "rack", "RAck"),
            ("sip-etag", "sip-etag", "SIP-ETag"),
            ("target-dialog", "target-dialog", "Target-Dialog"),
            ("X-Unknown", "x-unknown", "X-Unknown"),
            ("x-UNKNOWN", "x-unknown", "x-UNKNOWN"),
            ("extensionHeader-!.%*+_`'~", "extensionheader-!.%*+_`'~", "extensionHeader-!.%*+_`'~"),
            ("C%6Fntact", "c%6fntact", "C%6Fntact"),
            ("z", "z", "z"),
        ],
    )
    def test_key_and_spelling(self, spelled: str, key: str, written: str) -> None:
        name = header_name(spelled)
        assert (name.key, name.spelled) == (key, written)

    @pytest.mark.parametrize("name", ["", " ", "Via ", " Via", "a b", "a:b", "\u00e9", "a\r\nb", "a\n"])
    def test_what_is_none(self, name: str) -> None:
        with pytest.raises(ParseError, match="not a header name"):
            header_name(name)

    # RFC 3261 7.3.3 and 20, 3265, 3515, 3841, 3892, 4028, 4474.
    @pytest.mark.parametrize(
        ("letter", "key"),
        [
            ("a", "accept-contact"),
            ("b", "referred-by"),
            ("c", "content-type"),
            ("d", "request-disposition"),
            ("e", "content-encoding"),
            ("f", "from"),
            ("i", "call-id"),
            ("j", "reject-contact"),
            ("k", "supported"),
            ("l", "content-length"),
            ("m", "contact"),
            ("n", "identity-info"),
            ("o", "event"),
            ("r", "refer-to"),
            ("s", "subject"),
            ("t", "to"),
            ("u", "allow-events"),
            ("v", "via"),
            ("x", "session-expires"),
            ("y", "identity"),
        ],
    )
    def test_compact_forms(self, letter: str, key: str) -> None:
        assert header_name(letter).key == key
        assert header_name(letter.upper()) is header_name(key)

    def test_no_other_letter_is_a_compact_form(self) -> None:
        assert {letter for letter in string.ascii_lowercase if letter in KNOWN_NAMES} == set(COMPACT)
        assert len(COMPACT) == 20

    def test_each_single_name_has_its_own_bit(self) -> None:
        bits = [header_name(name).bit for name in SINGLE_NAMES]
        assert bits == [1 << position for position in range(len(SINGLE_NAMES))]
        assert (header_name("via").bit, header_name("route").bit) == (VIA_BIT, ROUTE_BIT)
        assert header_name("record-route").bit == ROUTE_BIT
        assert ROUTE_BIT > VIA_BIT > max(bits)
        assert header_name("contact").bit == header_name("x-unknown").bit == 0


class TestVia:
    @pytest.mark.parametrize(
        ("value", "transport", "host", "port", "branch", "received", "rport"),
        [
            ("SIP/2.0/UDP host:5060;branch=z9hG4bK1", "UDP", "host", 5060, "z9hG4bK1", "", -1),
            ("SIP/2.0/TCP host", "TCP", "host", 0, "", "", -1),
            ("SIP/2.0/TLS [2001:DB8::9:1];branch=x", "TLS", "[2001:db8::9:1]", 0, "x", "", -1),
            ("SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=x", "UDP", "[::ffff:192.0.2.10]", 19823, "x", "", -1),
            ("SIP/2.0/WSS df7jal23ls0d.invalid;branch=x;rport", "WSS", "df7jal23ls0d.invalid", 0, "x", "", 0),
            ("SIP/2.0/UDP Host.Example:5060", "UDP", "host.example", 5060, "", "", -1),
            ("SIP/2.0/UDP Host.Example", "UDP", "host.example", 0, "", "", -1),
            ("SIP/2.0/UDP h;Branch=x;RPORT=5070;Received=192.0.2.1", "UDP", "h", 0, "x", "192.0.2.1", 5070),
            ("SIP/2.0/UDP h;rport=;branch=x", "UDP", "h", 0, "x", "", 0),
            ("SIP/2.0/UDP h;rport=far;branch=x", "UDP", "h", 0, "x", "", 0),
            ("SIP/2.0/UDP h;rport=999999", "UDP", "h", 0, "", "", 0),
            ("SIP/2.0/UDP h;received=2001:db8::9:255", "UDP", "h", 0, "", "2001:db8::9:255", -1),
            ("SIP/2.0/UDP h;received=[2001:db8::9:255]", "UDP", "h", 0, "", "2001:db8::9:255", -1),
            ('SIP/2.0/UDP h;ttl=16;maddr=224.2.0.1;x="a,b;c";branch=b', "UDP", "h", 0, "b", "", -1),
            ("SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;branch=b", "UDP", "first.example.com", 4000, "b", "", -1),
            ("SIP/2.0/UDP h : 5060 ; branch = b", "UDP", "h", 5060, "b", "", -1),
            ("SIP/2.0/UDP\th\t:\t5060\t;branch=b", "UDP", "h", 5060, "b", "", -1),
            ("SIP/2.0/UDP [::1] : 5060", "UDP", "[::1]", 5060, "", "", -1),
            ("sip/2.0/udp   h", "UDP", "h", 0, "", "", -1),
            ("SIP/2.0/UNKNOWN t4.example.com;branch=x", "UNKNOWN", "t4.example.com", 0, "x", "", -1),
            ("SIP/2.0/TLS-SCTP h", "TLS-SCTP", "h", 0, "", "", -1),
            ("SIP/7.0/UDP c.example.com;branch=x", "UDP", "c.example.com", 0, "x", "", -1),
            (
                "SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~",
                "TCP",
                "host1.example.com",
                0,
                "z9hG4bK-.!%66*_+`'~",
                "",
                -1,
            ),
            ("SIP/2.0/UDP _dmz.example:05060", "UDP", "_dmz.example", 5060, "", "", -1),
        ],
    )
    def test_one_value(
        self, value: str, transport: str, host: str, port: int, branch: str, received: str, rport: int
    ) -> None:
        via = parse_via(value)
        assert (via.transport, via.host, via.port) == (transport, host, port)
        assert parse_via(value).port == port
        assert (via.branch, via.received, via.rport) == (branch, received, rport)
        assert (via.size, via.more) == (len(value), False)

    @pytest.mark.parametrize(
        ("value", "first", "rest"),
        [
            # sipp writes all the Vias of a message on one line.
            ("SIP/2.0/UDP a;branch=1, SIP/2.0/TCP b;branch=2", "SIP/2.0/UDP a;branch=1", " SIP/2.0/TCP b;branch=2"),
            ("SIP/2.0/UDP a:1,SIP/2.0/TCP b,SIP/2.0/TLS c", "SIP/2.0/UDP a:1", "SIP/2.0/TCP b,SIP/2.0/TLS c"),
            ('SIP/2.0/UDP a;x="b,c;d" , SIP/2.0/TCP b', 'SIP/2.0/UDP a;x="b,c;d" ', " SIP/2.0/TCP b"),
            ('SIP/2.0/UDP a, SIP/2.0/TCP b;x="y', "SIP/2.0/UDP a", ' SIP/2.0/TCP b;x="y'),
            ("SIP/2.0/UDP a,", "SIP/2.0/UDP a", ""),
        ],
    )
    def test_the_first_of_several(self, value: str, first: str, rest: str) -> None:
        via = parse_via(value)
        assert via.more
        assert value[: via.size] == first
        assert value[via.size + 1 :] == rest
        assert via.host == "a"

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 host",
            "SIP/2.0/UDP/X host",
            "SIP/2.0/ host",
            "/2.0/UDP host",
            "SIP//UDP host",
            "SIP/2.0/U@P host",
            "host",
            "SIP/2.0/UDP host:",
            "SIP/2.0/UDP host:0",
            "SIP/2.0/UDP host:65536",
            "SIP/2.0/UDP host:5060x",
            "SIP/2.0/UDP host:\u0665\u0660\u0666\u0660",
            "SIP/2.0/UDP ho st",
            "SIP/2.0/UDP host 5060",
            "SIP/2.0/UDP ho<s>t:5060",
            "SIP/2.0/UDP 2001:db8::1",
            "SIP/2.0/UDP [2001:db8::1",
            "SIP/2.0/UDP -h",
            "SIP/2.0/UDP 1.2.3",
            "SIP/2.0/UDP host;",
            "SIP/2.0/UDP host;;branch=x",
            "SIP/2.0/UDP 192.0.2.15;;,;,,",
            "SIP/2.0/UDP host;=x",
            "SIP/2.0/UDP host;x=",
            "SIP/2.0/UDP host;a b=c",
            "SIP/2.0/UDP host;branch=a;branch=b",
            "SIP/2.0/UDP host;branch=a;Branch=b",
            "SIP/2.0/UDP host;received=",
            "SIP/2.0/UDP host;received",
            "SIP/2.0/UDP host;received=example.com",
            "SIP/2.0/UDP host;received=[192.0.2.1",
            'SIP/2.0/UDP host;x="a',
            ", SIP/2.0/UDP host",
        ],
    )
    def test_what_is_none(self, value: str) -> None:
        with pytest.raises(ParseError):
            # The sent-by is read when it is asked for.
            assert parse_via(value).host

    @pytest.mark.parametrize("value", ["SIP/2.0/UDP host:0", "SIP/2.0/UDP ho st"])
    def test_a_port_that_cannot_be_read(self, value: str) -> None:
        with pytest.raises(ParseError):
            assert parse_via(value).port

    def test_how_many_parameters_it_may_have(self) -> None:
        parameters = "".join(f";p{count}" for count in range(MOST_VIA_PARAMETERS - 1))
        assert parse_via(f"SIP/2.0/UDP host{parameters}").host == "host"
        with pytest.raises(ParseError, match=f"over {MOST_VIA_PARAMETERS}"):
            parse_via(f"SIP/2.0/UDP host{parameters};more")


class TestAddresses:
    @pytest.mark.parametrize(
        ("value", "display", "uri", "parameters"),
        [
            ("<sip:a@b>", "", "sip:a@b", {}),
            ("sip:a@b", "", "sip:a@b", {}),
            ("Bob <sip:bob@biloxi.com>", "Bob", "sip:bob@biloxi.com", {}),
            ("caller<sip:caller@example.com>;tag=323", "caller", "sip:caller@example.com", {"tag": "323"}),
            (
                '"A. G. Bell" <sip:agb@bell-telephone.com> ;tag=a48s',
                "A. G. Bell",
                "sip:agb@bell-telephone.com",
                {"tag": "a48s"},
            ),
            (
                '"Quoted string \\"\\""<sip:j@e> ; newparam = newvalue ;secondparam ; q = 0.33',
                'Quoted string ""',
                "sip:j@e",
                {"newparam": "newvalue", "secondparam": None, "q": "0.33"},
            ),
            ('"" <sip:a@b>', "", "sip:a@b", {}),
            ('"<sip:not@this>" <sip:a@b>', "<sip:not@this>", "sip:a@b", {}),
            ("The  Operator\t<sip:o@b;lr;x=y>;Tag=1", "The Operator", "sip:o@b;lr;x=y", {"tag": "1"}),
            (
                "token1~` token2'+_ token3*%!.- <sip:m@e>;fromParam''~+*_!.-%=\"\u0440\";tag=_token~1'+`*%!-.",
                "token1~` token2'+_ token3*%!.-",
                "sip:m@e",
                {"fromparam''~+*_!.-%": '"\u0440"', "tag": "_token~1'+`*%!-."},
            ),
            ("sip:+12125551212@phone2net.com;tag=887s", "", "sip:+12125551212@phone2net.com", {"tag": "887s"}),
            ("sip:vivekg@chair ;   tag    = 1918181833n", "", "sip:vivekg@chair", {"tag": "1918181833n"}),
            ("<sip:a@b?Route=%3Csip:c%3E>", "", "sip:a@b?Route=%3Csip:c%3E", {}),
            ('<sip:a,b;c@d>;x="y;z>"', "", "sip:a,b;c@d", {"x": '"y;z>"'}),
            ("  <tel:+1-2>\t", "", "tel:+1-2", {}),
            ("<http://www.example.com>;tag=3234233", "", "http://www.example.com", {"tag": "3234233"}),
            ("isbn:2983792873", "", "isbn:2983792873", {}),
            ('sip:a@b;x="<c>"', "", "sip:a@b", {"x": '"<c>"'}),
        ],
    )
    def test_one_address(self, value: str, display: str, uri: str, parameters: dict[str, str | None]) -> None:
        address = parse_name_addr(value)
        assert (address.display, address.uri.text, address.parameters) == (display, uri, parameters)
        assert address.tag == (parameters.get("tag") or "")
        again = parse_name_addr(str(address))
        assert (again.display, again.uri.text, again.parameters) == (display, uri, parameters)

    @pytest.mark.parametrize(
        "value",
        [
            "",
            " ",
            "*",
            "<>",
            "<sip:a@b",
            "sip:a@b>",
            "Bob",
            '"Bob"',
            '"Bob" sip:a@b',
            '"Mr. J. User <sip:j.user@example.com>',
            '"Mr J. User <sip:j.user@example.com> <sip:realj@example.net>',
            "Watson, Thomas <sip:t.watson@example.org>",
            "Bob (work) <sip:a@b>",
            "J\u00fcrgen <sip:a@b>",
            '"Watson, Thomas" < sip:t.watson@example.org >',
            "<sip:a@b> x",
            "<sip:a@b><sip:c@d>",
            "<sip:a@b>;;;;",
            "<sip:a@b>;",
            "<sip:a@b>;tag=",
            "<sip:a@b>;tag=1;tag=2",
            "<sip:a@b>;tag=1;TAG=1",
            '<sip:a@b>;x="y',
            '<sip:a@b>;x="y"z',
            "sip:a@b?Route=%3Csip:c%3E",
            "sip:a,b@c",
            "sip:a@b;x=1;x=2",
            "sip: a@b",
            "alice@example.com",
        ],
    )
    def test_what_is_none(self, value: str) -> None:
        with pytest.raises(ParseError):
            parse_name_addr(value)

    def test_lists(self) -> None:
        values = ['"Bell, A." <sip:a@b>;q=0.7, <sip:c,d@e>', "sip:f@g ,sip:h@i"]
        assert [address.uri.text for address in parse_name_addrs(values)] == [
            "sip:a@b",
            "sip:c,d@e",
            "sip:f@g",
            "sip:h@i",
        ]
        assert parse_name_addrs([]) == []
        with pytest.raises(ParseError):
            parse_name_addrs(["<sip:a@b>,,<sip:c@d>"])

    def test_how_it_is_written(self) -> None:
        uri = parse_uri("sip:a@b;lr")
        assert str(NameAddr("", uri, {})) == "<sip:a@b;lr>"
        assert str(NameAddr("Bob", uri, {"tag": "x", "lr": None})) == '"Bob" <sip:a@b;lr>;tag=x;lr'
        assert str(NameAddr('A "B" \\', uri, {})) == '"A \\"B\\" \\\\" <sip:a@b;lr>'

    @given(
        st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",))),
        st.dictionaries(st.text("abc-.!", min_size=1), st.none() | st.text("xyz9", min_size=1)),
    )
    def test_what_is_written_is_read_again(self, display: str, parameters: dict[str, str | None]) -> None:
        address = parse_name_addr(str(NameAddr(display, parse_uri("sip:a,b@c;d"), parameters)))
        assert (address.display, address.uri.text, address.parameters) == (display, "sip:a,b@c;d", parameters)


class TestPlainAddress:
    """A short way past `parse_name_addr`: it may say no to what is sound, and never yes to what is not."""

    @pytest.mark.parametrize(
        "line",
        [
            "From: <sip:alice@example.org>;tag=1928301774",
            "To: <sips:bob@sub-1.example.org:5061>",
            "t:Bob <sip:bob@192.0.2.4:5060>",
            'f: "Bell, A." <sip:127.0.0.1>;tag=a.b-c',
            "FROM: J R Rosenberg <sip:j&r=(1)@a.b>",
        ],
    )
    def test_what_nearly_everybody_writes(self, line: str) -> None:
        assert is_plain_address(line)
        parse_name_addr(line.partition(":")[2])

    @given(
        st.text("<>\"\\@:;=. \ta1-[]%,?x0", max_size=12),
        st.text("<>\"\\@:;=. \ta1-[]%,?x0", max_size=12),
        st.sampled_from(
            ["{}{}", "<sip:{}>;tag={}", "<sip:a@{}:{}>", '"{}" <sip:b@{}>', "{}<sip:1.{}.0.1>", "a {} <sips:b@c{}>"]
        ),
    )
    def test_never_yes_to_what_is_not_sound(self, first: str, second: str, frame: str) -> None:
        value = frame.format(first, second)
        if is_plain_address(f"To: {value}"):
            parse_name_addr(value)

    @pytest.mark.parametrize(
        "value",
        [
            "<sip:a@b.c>;tag=x y",
            "<sip:a@b.c>;tag=x;tag=y",
            '<sip:a@b.c>;tag=x"',
            "<sip:a@b.c> x",
            "< sip:a@b.c>",
            "a, b <sip:a@b.c>",
            '"a <sip:a@b.c>',
            "<sip:a@256.1.1.1>",
            "<sip:a@01.2.3.4>",
            "<sip:a@-b>",
            "<sip:a@b:0>",
            "<sip:a@b@c>",
        ],
    )
    def test_what_is_not_sound(self, value: str) -> None:
        assert not is_plain_address(f"To: {value}")

    def test_a_long_line_is_left_to_the_parser(self) -> None:
        assert is_plain_address(f"To: <sip:{'a' * 200}@b.org>")
        assert not is_plain_address(f"To: <sip:{'a' * 250}@b.org>")


class TestTags:
    @pytest.mark.parametrize(
        ("value", "tag"),
        [
            ("<sip:a@b>", ""),
            ("sip:a@b", ""),
            ("<sip:a@b>;tag=x", "x"),
            ("<sip:a@b>;tag=x;y=z", "x"),
            ("<sip:a@b>;y=z;tag=x", "x"),
            ("sip:a@b;tag=x", "x"),
            ("<sip:a@b;tag=uri>", ""),
            ("<sip:a@b;tag=uri>;tag=x", "x"),
            ('"; tag=display" <sip:a@b>', ""),
            ('";tag=display>" <sip:a@b>;tag=x', "x"),
            ("<sip:a@b> ; TAG = x ", "x"),
            ("<sip:a@b>;Tag=x", "x"),
            ("<sip:a@b>;stag=y", ""),
            ("<sip:a@b>;stag=y;Tag=x", "x"),
            ("<sip:a@b>;tag", ""),
            ('<sip:a@b>;tag=x;y=">;tag=fake"', "x"),
            ('<sip:a@b>;y="<;tag=fake>";tag=x', "x"),
            ('<sip:a@b>;y=">;tag=fake"', ""),
            ('<sip:a@b>;y=";tag=fake;";tag=x', "x"),
            ("<sip:a@b>;tag=>", ">"),
            ('"a>;tag=fake" <sip:a@b>;tag=x', "x"),
        ],
    )
    def test_it_is_what_a_full_reading_gives(self, value: str, tag: str) -> None:
        assert tag_of(value) == tag
        assert parse_name_addr(value).tag == tag

    @given(st.lists(st.sampled_from(["<", ">", '"', ";", "tag=", "Tag =", "a", "\\", " ", "sip:a@b", "x=", "=", ","])))
    def test_it_never_differs_from_a_full_reading(self, pieces: list[str]) -> None:
        value = "<sip:a@b>" + "".join(pieces)
        try:
            address = parse_name_addr(value)
        except ParseError:
            return
        assert tag_of(value) == address.tag


class TestCSeq:
    @pytest.mark.parametrize(
        ("value", "number", "method"),
        [
            ("4711 INVITE", 4711, "INVITE"),
            ("0009   INVITE", 9, "INVITE"),
            ("0 \t ACK", 0, "ACK"),
            ("1\tBYE", 1, "BYE"),
            ("4294967295 invite", 4294967295, "invite"),
            (
                "139122385 !interesting-Method0123456789_*+`.%indeed'~",
                139122385,
                "!interesting-Method0123456789_*+`.%indeed'~",
            ),
        ],
    )
    def test_valid(self, value: str, number: int, method: str) -> None:
        cseq = parse_cseq(value)
        assert (cseq.number, cseq.method) == (number, method)

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "1",
            "1 ",
            "INVITE",
            "INVITE 1",
            "1INVITE",
            "-1 INVITE",
            "1.0 INVITE",
            "4294967296 INVITE",
            "36893488147419103232 REGISTER",
            "1 INVITE ACK",
            "1 IN(VITE",
            "1\u2003INVITE",
            "\u0661 INVITE",
        ],
    )
    def test_what_is_none(self, value: str) -> None:
        with pytest.raises(ParseError):
            parse_cseq(value)


FUNCTIONS: tuple[Callable[[str], object], ...] = (
    header_name,
    lambda text: parse_via(text).host,
    parse_name_addr,
    lambda text: parse_name_addrs([text]),
    tag_of,
    parse_cseq,
)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_hostile_text_takes_time_in_proportion_to_its_length(function: Callable[[str], object]) -> None:
    with finishes():
        for _, text in hostile(65536):
            try:
                function(text)
            except ParseError:
                continue


@pytest.mark.parametrize("function", FUNCTIONS)
def test_hostile_text_takes_steps_in_proportion_to_its_length(function: Callable[[str], object]) -> None:
    for (name, short), (_, long) in zip(hostile(256), hostile(1024), strict=True):
        few = steps(lambda short=short: function(short))
        many = steps(lambda long=long: function(long))
        assert many <= 5 * few + 100, name
