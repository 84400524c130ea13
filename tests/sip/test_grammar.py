"""The lexical rules: tokens, hosts, numbers, quoted strings, comments, lists and parameters."""

import string
from collections.abc import Callable
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import LocalError, ParseError
from ringback.sip.grammar import (
    DEEPEST_COMMENT,
    MOST_PARAMETERS,
    canonical_host,
    character_set,
    first_value,
    host_end,
    is_host,
    is_ipv4,
    is_ipv6,
    is_token,
    number,
    parse_parameters,
    quote,
    quoted_end,
    short_number,
    shown,
    span,
    split_commas,
    split_parameters,
    strip_comments,
    unescape,
    unquote,
)
from tests.sip.inputs import finishes, hostile, steps

TOKEN_CHARACTERS = string.ascii_letters + string.digits + "-.!%*_+`'~"
TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)))


class TestTokens:
    @pytest.mark.parametrize("character", [chr(code) for code in range(256)])
    def test_each_character(self, character: str) -> None:
        assert is_token(character) is (character in TOKEN_CHARACTERS)
        assert is_token(f"a{character}b") is (character in TOKEN_CHARACTERS)

    @pytest.mark.parametrize("text", ["", "a\n", "\na", "\u00e9", "\u0660", "a b"])
    def test_what_is_none(self, text: str) -> None:
        assert not is_token(text)


class TestCharacterSets:
    @pytest.mark.parametrize(
        ("text", "end"),
        [("", 0), ("a", 1), ("aba", 3), ("abca", 2), ("c", 0), ("a\u0161", 1), ("a\x00", 1), ("a\U0001f600b", 1)],
    )
    def test_where_the_characters_of_a_set_end(self, text: str, end: int) -> None:
        """Only the whole code counts: U+0161, whose last byte is that of "a", is no "a"."""
        assert span(text, character_set("ab")) == end

    @pytest.mark.parametrize("character", [chr(code) for code in range(300)])
    def test_each_character(self, character: str) -> None:
        assert span(character, character_set("a\u00ff")) == (1 if character in "a\u00ff" else 0)


class TestHosts:
    @pytest.mark.parametrize(
        "host",
        [
            "a",
            "A",
            "example.com",
            "example.com.",
            "a-b.c--d.e",
            "xn--bcher-kva.example",
            "_sip._udp.example.com",
            "3com.com",
            "1.2.3.4.example",
            "192.0.2.1",
            "0.0.0.0",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[1::]",
            "[2001:db8::10]",
            "[2001:DB8::9:1]",
            "[1:2:3:4:5:6:7:8]",
            "[1:2:3:4:5:6:7::]",
            "[::2:3:4:5:6:7:8]",
            "[::ffff:192.0.2.10]",
            "[1:2:3:4:5:6:192.0.2.1]",
            "[64:ff9b::192.0.2.33]",
            "a" * 200 + ".example",
        ],
    )
    def test_valid(self, host: str) -> None:
        assert is_host(host)

    @pytest.mark.parametrize(
        "host",
        [
            "",
            ".",
            ".a",
            "a..b",
            "-a",
            "a-",
            "a-.b",
            "a.-b",
            "a b",
            "a\n",
            "a/b",
            "a@b",
            "b\u00fccher.example",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.04",
            "01.2.3.4",
            "444.555.666.777",
            "1.2.3.4.",
            "12",
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[:]",
            "[:::]",
            "[1::2::3]",
            "[1:2:3:4:5:6:7]",
            "[1:2:3:4:5:6:7:8:9]",
            "[1:2:3:4:5:6:7:8::]",
            "[:1:2:3:4:5:6:7:8]",
            "[1:2:3:4:5:6:7:]",
            "[12345::]",
            "[g::1]",
            "[::192.0.2]",
            "[::192.0.2.256]",
            "[::192.0.2.1:1]",
            "[192.0.2.1::]",
            "[1:2:3:4:5:6:7:192.0.2.1]",
            "[2001:db8:::192.0.2.1]",
            "[fe80::1%eth0]",
            "[" + "1:" * 4000 + ":]",
            "a." * 127 + "a",
        ],
    )
    def test_invalid(self, host: str) -> None:
        assert not is_host(host)

    @pytest.mark.parametrize(
        ("text", "end"),
        [
            ("a.b:5060", 3),
            ("a.b;lr", 3),
            ("a.b.>", 4),
            ("1.2.3.4:5060", 7),
            ("1.2.3.4.:5060", -1),
            ("1.2.3.256;lr", -1),
            ("a.1:5060", -1),
            ("a-:5060", -1),
            ("a-.b", -1),
            ("a..b;lr", -1),
            (":5060", -1),
            ("", -1),
            ("[::1]", -1),
            ("a" * 254 + ":1", 254),
            ("a" * 255 + ":1", -1),
        ],
    )
    def test_where_a_host_ends_that_other_text_follows(self, text: str, end: int) -> None:
        assert host_end(text) == end

    def test_every_octet_of_an_ipv4_address(self) -> None:
        assert [value for value in range(1000) if is_ipv4(f"10.{value}.0.1")] == list(range(256))

    def test_addresses_have_no_brackets_of_their_own(self) -> None:
        assert is_ipv6("2001:db8::1")
        assert not is_ipv6("[2001:db8::1]")
        assert not is_ipv6("192.0.2.1")
        assert not is_ipv4("192.0.2.1\n")

    @given(st.ip_addresses(v=6))
    def test_every_ipv6_address_in_each_of_its_spellings(self, address: IPv6Address) -> None:
        spellings = [str(address), str(address).upper(), address.exploded]
        assert [is_ipv6(spelling) for spelling in spellings] == [True, True, True]
        assert len({canonical_host(f"[{spelling}]") for spelling in spellings}) == 1

    @pytest.mark.parametrize(
        ("host", "canonical"),
        [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com."),
            ("192.0.2.1", "192.0.2.1"),
            ("[::]", "[0:0:0:0:0:0:0:0]"),
            ("[2001:DB8::9:01]", "[2001:db8:0:0:0:0:9:1]"),
            ("[::FFFF:129.144.52.38]", "[0:0:0:0:0:ffff:8190:3426]"),
            ("[1:2:3:4:5:6:7::]", "[1:2:3:4:5:6:7:0]"),
            ("[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]"),
        ],
    )
    def test_one_spelling(self, host: str, canonical: str) -> None:
        assert canonical_host(host) == canonical


class TestNumbers:
    @pytest.mark.parametrize(
        ("text", "value"),
        [("0", 0), ("00", 0), ("0068", 68), ("255", 255), ("0" * 500 + "7", 7), ("4294967295", 4294967295)],
    )
    def test_valid(self, text: str, value: int) -> None:
        assert number(text, "it", 4294967295) == value

    @pytest.mark.parametrize("text", ["", " 1", "1 ", "+1", "-1", "1.0", "0x1", "1e3", "\u0661", "\u00b2", "five"])
    def test_not_a_number(self, text: str) -> None:
        with pytest.raises(ParseError, match="it is not a number"):
            number(text, "it", 9)

    @pytest.mark.parametrize("text", ["10", "010", "36893488147419103232", "1" + "0" * 60000])
    def test_too_large(self, text: str) -> None:
        with pytest.raises(ParseError, match="it is over 9"):
            number(text, "it", 9)


    @pytest.mark.parametrize(
        ("text", "value"),
        [("0", 0), ("007", 7), ("9999999999", 9999999999), ("00000000001", -1), ("", -1), ("-1", -1), ("1 ", -1)],
    )
    def test_short_ones(self, text: str, value: int) -> None:
        assert short_number(text) == value

    @pytest.mark.parametrize("text", ["\u0661", "\u00b2", "1/", "1:"])
    def test_digits_are_those_of_ascii(self, text: str) -> None:
        assert short_number(text) == -1


class TestQuotedStrings:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ('""', ""),
            ('"a"', "a"),
            ('"a\\"b"', 'a"b'),
            ('"\\\\"', "\\"),
            ('"\\\\\\""', '\\"'),
            ('"J Rosenberg \\\\\\""', 'J Rosenberg \\"'),
            ('"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f"', "BEL:\x07 NUL:\x00 DEL:\x7f"),
            ('"\u20ac"', "\u20ac"),
            ('"%Z%45"', "%Z%45"),
            ("token", "token"),
            ('"', '"'),
        ],
    )
    def test_unquote(self, text: str, value: str) -> None:
        assert unquote(text) == value

    @pytest.mark.parametrize(
        ("text", "start", "end"),
        [('""', 0, 2), ('x"a"y', 1, 4), ('"a\\""b"', 0, 5), ('"\\\\"', 0, 4), ('"a""b"', 0, 3)],
    )
    def test_where_it_ends(self, text: str, start: int, end: int) -> None:
        assert quoted_end(text, start) == end

    @pytest.mark.parametrize("text", ['"', '"a', '"\\"', '"a\\', '"\\\\\\"'])
    def test_one_that_does_not_end(self, text: str) -> None:
        with pytest.raises(ParseError, match="does not end"):
            quoted_end(text, 0)

    @given(TEXT)
    def test_what_is_quoted_is_unquoted_to_the_same(self, text: str) -> None:
        quoted = quote(text)
        assert quoted_end(quoted, 0) == len(quoted)
        assert unquote(quoted) == text

    @pytest.mark.parametrize("text", ["a\r", "a\nb", "\r\n"])
    def test_a_line_break_cannot_be_quoted(self, text: str) -> None:
        with pytest.raises(LocalError):
            quote(text)


class TestLists:
    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ("", [""]),
            ("a", ["a"]),
            (" a\t", ["a"]),
            ("a,b", ["a", "b"]),
            ("a , b,", ["a", "b", ""]),
            (",,", ["", "", ""]),
            ('"a,b", c', ['"a,b"', "c"]),
            ('"a\\",b", c', ['"a\\",b"', "c"]),
            ("<a,b>, c", ["<a,b>", "c"]),
            ('<a"b>, "c"', ['<a"b>', '"c"']),
            ('"<", b', ['"<"', "b"]),
            ("a>, b", ["a>", "b"]),
            ("sip:a(b@h, sip:c)d@h", ["sip:a(b@h", "sip:c)d@h"]),
            ("\u00a0a, b\u2003", ["\u00a0a", "b\u2003"]),
        ],
    )
    def test_commas(self, text: str, parts: list[str]) -> None:
        assert split_commas(text) == parts

    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ("", [""]),
            ("a;b=c ; d", ["a", "b=c", "d"]),
            (";;", ["", "", ""]),
            ('a;b="c;d";e', ["a", 'b="c;d"', "e"]),
            ("<a;b>;c", ["<a;b>", "c"]),
            ("a(b;c)", ["a(b", "c)"]),
        ],
    )
    def test_semicolons(self, text: str, parts: list[str]) -> None:
        assert split_parameters(text) == parts

    @pytest.mark.parametrize("text", ['a, "b', "a, <b", 'a,"b\\"', "<a, <b"])
    def test_what_is_opened_has_to_be_closed(self, text: str) -> None:
        with pytest.raises(ParseError):
            split_commas(text)
        with pytest.raises(ParseError):
            split_parameters(text.replace(",", ";"))

    @pytest.mark.parametrize(
        ("text", "first"),
        [
            ("a", "a"),
            ("a ,b", "a "),
            ("", ""),
            (",a", ""),
            ('a;b="c,d" ,e', 'a;b="c,d" '),
            ('a;b="c,d"', 'a;b="c,d"'),
            ('a,"b', "a"),
            ('"a,""b,"c', '"a,""b,"c'),
        ],
    )
    def test_the_first_value_as_it_is(self, text: str, first: str) -> None:
        assert first_value(text) == first

    @given(st.lists(TEXT, min_size=1))
    def test_quoted_values_come_apart_as_they_were_joined(self, values: list[str]) -> None:
        quoted = [quote(value) for value in values]
        assert split_commas(" ,\t".join(quoted)) == quoted
        assert split_parameters(" ;\t".join(quoted)) == quoted
        assert first_value(",".join(quoted)) == quoted[0]


class TestParameters:
    def test_names_are_in_lower_case_and_values_as_written(self) -> None:
        parts = ["skipped", "Tag = 98asjd8", "lr", 'x="A;b"', "y=%41"]
        assert parse_parameters(parts, 1) == {"tag": "98asjd8", "lr": None, "x": '"A;b"', "y": "%41"}

    @pytest.mark.parametrize("part", ["", " ", "=", "=a", "a=", "a= ", "a b", "a b=c", 'a="b"c', 'a="b', "a\u00e9=b"])
    def test_broken_ones(self, part: str) -> None:
        with pytest.raises(ParseError):
            parse_parameters([part], 0)

    def test_one_that_stands_twice(self) -> None:
        with pytest.raises(ParseError, match="a stands twice"):
            parse_parameters(["a=1", "A=1"], 0)

    def test_how_many_there_may_be(self) -> None:
        parts = ["x", *(f"p{count}" for count in range(MOST_PARAMETERS))]
        assert len(parse_parameters(parts, 1)) == MOST_PARAMETERS
        with pytest.raises(ParseError, match=f"more than {MOST_PARAMETERS}"):
            parse_parameters(parts, 0)


class TestEscapes:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("", ""),
            ("alice", "alice"),
            ("%61lic%65", "alice"),
            ("sips%3Auser%40example.com", "sips:user@example.com"),
            ("null-%00-null", "null-\0-null"),
            ("value%25%34%31", "value%41"),
            ("%C3%a9", "\u00e9"),
            ("%ff", "\udcff"),
            ("\u20ac%20", "\u20ac "),
        ],
    )
    def test_unescape(self, text: str, value: str) -> None:
        assert unescape(text) == value

    @pytest.mark.parametrize("text", ["%", "a%4", "%zz", "%4g", "%%41"])
    def test_broken_ones(self, text: str) -> None:
        with pytest.raises(ParseError):
            unescape(text)


class TestComments:
    @pytest.mark.parametrize(
        ("text", "rest"),
        [
            ("120", "120"),
            ("120 (I'm in a meeting)", "120 "),
            ("a(b(c)d)e", "ae"),
            ("a(\\))b", "ab"),
            ("a(\\()b", "ab"),
            ('"(" (x)', '"(" '),
            ("a)b(c)", "a)b"),
        ],
    )
    def test_they_are_left_out(self, text: str, rest: str) -> None:
        assert strip_comments(text) == rest

    @pytest.mark.parametrize("text", ["(", "a(b", "((a)", "(\\)", "(a\\"])
    def test_one_that_does_not_end(self, text: str) -> None:
        with pytest.raises(ParseError, match="does not end"):
            strip_comments(text)

    def test_how_deep_they_may_nest(self) -> None:
        assert strip_comments("(" * DEEPEST_COMMENT + ")" * DEEPEST_COMMENT) == ""
        with pytest.raises(ParseError, match="deeper"):
            strip_comments("(" * (DEEPEST_COMMENT + 1) + ")" * (DEEPEST_COMMENT + 1))


class TestErrorText:
    def test_it_is_short_quoted_and_ascii(self) -> None:
        assert shown("a\r\n\u20ac\udcff'") == '"a\\r\\n\\u20ac\\udcff\'"'
        assert shown("x" * 60) == "'" + "x" * 60 + "'"
        assert shown("x" * 61) == "'" + "x" * 57 + "...'"


FUNCTIONS: tuple[Callable[[str], object], ...] = (
    is_token,
    is_host,
    is_ipv6,
    split_commas,
    split_parameters,
    first_value,
    strip_comments,
    unescape,
    unquote,
    lambda text: number(text, "it", 9),
    lambda text: quoted_end(text, 0),
    lambda text: parse_parameters(text.split(";"), 0),
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
        assert many <= 5 * few + 50, name
