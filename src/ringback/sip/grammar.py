"""The lexical rules that headers and URIs share (RFC 3261 section 25.1).

Every function is linear in the length of its input. Where input breaks the grammar, `ParseError` says what and where.
"""

from __future__ import annotations

import re
from typing import Final

from ringback.errors import LocalError, ParseError

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+\Z")
# hostname = *( domainlabel "." ) toplabel [ "." ]; the underscore is let through, because DNS names have it.
# Only single characters are repeated possessively: up to 3.11.4, Python matches a possessive group wrongly whose last
# turn fails halfway. These groups begin with a character of their own, so that going back costs no more than one pass.
_LABEL: Final = "[A-Za-z0-9_]++(?:-++[A-Za-z0-9_]++)*"
_HOST_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?\Z")
# dec-octet of RFC 3986, which RFC 5954 4.1 puts in the place of 1*3DIGIT: no leading zero, which some take for octal.
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4: Final = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}\Z")
_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]+\Z")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Possessive: what was matched is never given up again, so hostile input takes no longer than any other.
_QUOTED: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*"', re.DOTALL)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_COMMA_OR_OPENING: Final = re.compile(r'[,"<]')
_SEMICOLON_OR_OPENING: Final = re.compile(r'[;"<]')

#: SP and HTAB: the white space in a header value, once its folds are undone (25.1, WSP).
SPACE: Final = " \t"
#: The longest name in the DNS, written with its final dot.
LONGEST_HOST: Final = 254
#: How many parameters one header value or URI may carry.
MOST_PARAMETERS: Final = 64
#: How deep comments may nest.
DEEPEST_COMMENT: Final = 16


def is_token(text: str) -> bool:
    """Whether `text` is a `token` of RFC 3261 25.1."""
    return _TOKEN.match(text) is not None


def is_host(text: str) -> bool:
    """Whether `text` is a host name, an IPv4 address or a bracketed IPv6 reference."""
    if text.startswith("["):
        return text.endswith("]") and is_ipv6(text[1:-1])
    if _HOST_NAME.match(text) is None or len(text) > LONGEST_HOST:
        return False
    last = text.rstrip(".").rpartition(".")[2]
    if last.isdigit():
        # "toplabel = ALPHA / ALPHA *( alphanum / "-" ) alphanum": digits only, so it has to be an IPv4 address.
        return is_ipv4(text)
    return True


def is_ipv4(text: str) -> bool:
    """Whether `text` is four decimal numbers of at most 255, without leading zeros."""
    return _IPV4.match(text) is not None


def is_ipv6(text: str) -> bool:
    """Whether `text` is an IPv6 address without brackets."""
    if _IPV6.match(text) is None or len(text) > 45 or ":::" in text:
        return False
    head, double, tail = text.partition("::")
    if "::" in tail:
        return False
    groups = _ipv6_groups(head, not double) + _ipv6_groups(tail, True)
    if groups < 0:
        return False
    return groups <= 7 if double else groups == 8


def _ipv6_groups(text: str, last: bool) -> int:
    if not text:
        return 0
    count = 0
    parts = text.split(":")
    for position, part in enumerate(parts):
        if "." in part:
            if not last or position != len(parts) - 1 or not is_ipv4(part):
                return -100
            count += 2
        elif 1 <= len(part) <= 4:
            count += 1
        else:
            return -100
    return count


def canonical_host(host: str) -> str:
    """One spelling for all that name the same host: lower case, and of an IPv6 reference its eight groups.

    RFC 5954 4.2: hosts "are considered to match if the different textual representations yield the same binary IP
    address". `host` is one that `is_host` accepts.
    """
    if not host.startswith("["):
        return host.lower()
    head, double, tail = host[1:-1].partition("::")
    first = _ipv6_numbers(head)
    last = _ipv6_numbers(tail)
    if double:
        first += [0] * (8 - len(first) - len(last))
    groups = ":".join([f"{group:x}" for group in first + last])
    return f"[{groups}]"


def _ipv6_numbers(text: str) -> list[int]:
    numbers: list[int] = []
    for part in text.split(":") if text else []:
        if "." in part:
            octets = [int(octet) for octet in part.split(".")]
            numbers += [octets[0] * 256 + octets[1], octets[2] * 256 + octets[3]]
        else:
            numbers.append(int(part, 16))
    return numbers


def number(text: str, what: str, most: int) -> int:
    """A decimal number of at most `most`, leading zeros allowed; `what` names it in the error."""
    if not (text.isascii() and text.isdigit()):
        raise ParseError(f"{what} is not a number: {shown(text)}")
    if len(text) > 10:
        # So long a number is worth converting only when most of it is leading zeros.
        text = text.lstrip("0") or "0"
        if len(text) > 20:
            raise ParseError(f"{what} is over {most}: {shown(text)}")
    value = int(text)
    if value > most:
        raise ParseError(f"{what} is over {most}: {shown(text)}")
    return value


def shown(text: str) -> str:
    """`text` as an error message may show it: short, quoted, and safe to write in a log or a reason phrase."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def split_commas(text: str) -> list[str]:
    """The comma-separated values of a header, each stripped; commas in quotes and <> do not separate.

    Parentheses mean nothing here: "Comments are only allowed in fields containing 'comment' as part of their field
    value definition. In all other fields, parentheses are considered part of the field value" (25.1), and no field with
    comments is a list.
    """
    if "," not in text:
        return [text.strip(SPACE)]
    if '"' not in text and "<" not in text:
        return [part.strip(SPACE) for part in text.split(",")]
    return _split(text, ",", _COMMA_OR_OPENING)


def split_parameters(text: str) -> list[str]:
    """What stands between semicolons, each stripped; semicolons in quotes and <> do not separate."""
    if ";" not in text:
        return [text.strip(SPACE)]
    if '"' not in text and "<" not in text:
        return [part.strip(SPACE) for part in text.split(";")]
    return _split(text, ";", _SEMICOLON_OR_OPENING)


def _split(text: str, separator: str, marks: re.Pattern[str]) -> list[str]:
    parts: list[str] = []
    start = 0
    position = 0
    while True:
        found = marks.search(text, position)
        if found is None:
            break
        position = found.end()
        character = text[position - 1]
        if character == separator:
            parts.append(text[start : position - 1].strip(SPACE))
            start = position
        elif character == '"':
            position = quoted_end(text, position - 1)
        else:
            position = text.find(">", position) + 1
            if position == 0:
                raise ParseError(f"'<' without '>' in {shown(text)}")
    parts.append(text[start:].strip(SPACE))
    return parts


def first_value(text: str) -> str:
    """What stands before the first comma that is in no quoted string, as it is."""
    comma = text.find(",")
    if comma < 0:
        return text
    quote_mark = text.find('"')
    while 0 <= quote_mark < comma:
        end = quoted_end(text, quote_mark)
        quote_mark = text.find('"', end)
        if comma < end:
            comma = text.find(",", end)
            if comma < 0:
                return text
    return text[:comma]


def quoted_end(text: str, start: int) -> int:
    """The position after the closing quote of the quoted string that opens at `start`."""
    found = _QUOTED.match(text, start)
    if found is None:
        raise ParseError(f"a quoted string does not end: {shown(text[start : start + 80])}")
    return found.end()


def unquote(text: str) -> str:
    """The value of a quoted string; other text is returned as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    # quoted-pair = "\" (%x00-09 / %x0B-0C / %x0E-7F): the next character stands for itself.
    return _QUOTED_PAIR.sub(r"\1", inner)


def quote(text: str) -> str:
    """`text` as a quoted string. Raises LocalError for what none can hold: CR and LF (25.1)."""
    if "\r" in text or "\n" in text:
        raise LocalError(f"a quoted string cannot hold a line break: {shown(text)}")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\0", "\\\0")
    return f'"{escaped}"'


def parse_parameters(parts: list[str], start: int) -> dict[str, str | None]:
    """`name=value` pieces from `start` on, names in lower case; a piece without "=" has the value None.

    Quoted values keep their quotes. A repeated name or an empty piece is an error.
    """
    parameters: dict[str, str | None] = {}
    if len(parts) - start > MOST_PARAMETERS:
        raise ParseError(f"more than {MOST_PARAMETERS} parameters")
    for position in range(start, len(parts)):
        name, equals, value = parts[position].partition("=")
        name = name.strip(SPACE).lower()
        if not is_token(name):
            raise ParseError(f"not a parameter: {shown(parts[position])}")
        if name in parameters:
            raise ParseError(f"parameter {name} stands twice")
        if not equals:
            parameters[name] = None
            continue
        value = value.strip(SPACE)
        if not value:
            raise ParseError(f"parameter {name} has no value after '='")
        if value[0] == '"' and quoted_end(value, 0) != len(value):
            raise ParseError(f"text after the quoted value of parameter {name}")
        parameters[name] = value
    return parameters


def unescape(text: str) -> str:
    """`%HH` replaced by what it stands for (RFC 3261 19.1.2); bytes that are not UTF-8 become surrogates."""
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text) is not None:
        raise ParseError(f"'%' without two hexadecimal digits in {shown(text)}")
    parts = text.encode("utf-8", "surrogateescape").split(b"%")
    out = [parts[0]]
    for part in parts[1:]:
        out.append(bytes.fromhex(part[:2].decode("ascii")))
        out.append(part[2:])
    return b"".join(out).decode("utf-8", "surrogateescape")


def strip_comments(text: str) -> str:
    """`text` without its (nested) comments, at most DEEPEST_COMMENT deep (25.1, comment)."""
    if "(" not in text:
        return text
    out: list[str] = []
    depth = 0
    position = 0
    while position < len(text):
        character = text[position]
        if character == '"' and depth == 0:
            end = quoted_end(text, position)
            out.append(text[position:end])
            position = end
            continue
        if character == "\\" and depth > 0:
            position += 2
            continue
        if character == "(":
            depth += 1
            if depth > DEEPEST_COMMENT:
                raise ParseError(f"comments nest deeper than {DEEPEST_COMMENT}")
        elif character == ")" and depth > 0:
            depth -= 1
        elif depth == 0:
            out.append(character)
        position += 1
    if depth:
        raise ParseError(f"a comment does not end: {shown(text)}")
    return "".join(out)
