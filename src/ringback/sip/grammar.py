"""The lexical rules that headers and URIs share (RFC 3261 section 25.1).

Every function is linear in the length of its input. Where input breaks the grammar, `ParseError` says what and where.
"""

from __future__ import annotations

import re
from typing import Final

from ringback.errors import ParseError

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+\Z")
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9\-_.]*[A-Za-z0-9_])?\.?\Z")
_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]+\Z")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

#: How many parameters one header value or URI may carry.
MOST_PARAMETERS: Final = 64


def is_token(text: str) -> bool:
    """Whether `text` is a `token` of RFC 3261 25.1."""
    return _TOKEN.match(text) is not None


def is_host(text: str) -> bool:
    """Whether `text` is a host name, an IPv4 address or a bracketed IPv6 reference."""
    if text.startswith("["):
        return text.endswith("]") and is_ipv6(text[1:-1])
    if _HOST_NAME.match(text) is None or ".." in text:
        return False
    last = text.rstrip(".").rpartition(".")[2]
    if last.isdigit():
        # "toplabel = ALPHA / ALPHA *( alphanum / "-" ) alphanum": digits only, so it has to be an IPv4 address.
        return is_ipv4(text)
    return True


def is_ipv4(text: str) -> bool:
    """Whether `text` is four decimal numbers of at most 255."""
    parts = text.split(".")
    if len(parts) != 4:
        return False
    for part in parts:
        if not (part.isascii() and part.isdigit()) or len(part) > 3 or int(part) > 255:
            return False
    return True


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


def number(text: str, what: str, most: int) -> int:
    """A decimal number of at most `most`; `what` names it in the error."""
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        raise ParseError(f"{what} is not a number: {shown(text)}")
    value = int(text)
    if value > most:
        raise ParseError(f"{what} is over {most}: {shown(text)}")
    return value


def shown(text: str) -> str:
    """`text` as an error message may show it: short, quoted, and safe to write in a log or a reason phrase."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def split_commas(text: str) -> list[str]:
    """The comma-separated values of a header, each stripped; commas in quotes, <> and comments do not separate."""
    if '"' not in text and "<" not in text and "(" not in text:
        return [part.strip() for part in text.split(",")]
    return _split(text, ",")


def split_parameters(text: str) -> list[str]:
    """What stands between semicolons, each stripped; semicolons in quotes, <> and comments do not separate."""
    if '"' not in text and "<" not in text and "(" not in text:
        return [part.strip() for part in text.split(";")]
    return _split(text, ";")


def _split(text: str, separator: str) -> list[str]:
    parts: list[str] = []
    start = 0
    position = 0
    angle = False
    comment = 0
    size = len(text)
    while position < size:
        character = text[position]
        if character == '"' and not angle and comment == 0:
            position = quoted_end(text, position)
            continue
        if character == "\\" and comment > 0:
            position += 2
            continue
        if character == "(" and not angle:
            comment += 1
        elif character == ")" and comment > 0:
            comment -= 1
        elif comment == 0:
            if character == "<":
                angle = True
            elif character == ">":
                angle = False
            elif character == separator and not angle:
                parts.append(text[start:position].strip())
                start = position + 1
        position += 1
    if angle:
        raise ParseError(f"'<' without '>' in {shown(text)}")
    parts.append(text[start:].strip())
    return parts


def quoted_end(text: str, start: int) -> int:
    """The position after the closing quote of the quoted string that opens at `start`."""
    position = start + 1
    while True:
        quote = text.find('"', position)
        if quote < 0:
            raise ParseError(f"a quoted string does not end: {shown(text[start:])}")
        slash = text.find("\\", position, quote)
        if slash < 0:
            return quote + 1
        # quoted-pair = "\" (%x00-09 / %x0B-0C / %x0E-7F): the next character stands for itself.
        position = slash + 2


def unquote(text: str) -> str:
    """The value of a quoted string; other text is returned as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    out: list[str] = []
    position = 0
    while position < len(inner):
        if inner[position] == "\\" and position + 1 < len(inner):
            position += 1
        out.append(inner[position])
        position += 1
    return "".join(out)


def quote(text: str) -> str:
    """`text` as a quoted string. Raises ParseError for what a header line cannot hold (CR, LF, NUL)."""
    if "\r" in text or "\n" in text or "\0" in text:
        raise ParseError(f"a quoted string cannot hold a line break or NUL: {shown(text)}")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
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
        name = name.strip().lower()
        if not is_token(name):
            raise ParseError(f"not a parameter: {shown(parts[position])}")
        if name in parameters:
            raise ParseError(f"parameter {name} stands twice")
        if not equals:
            parameters[name] = None
            continue
        value = value.strip()
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
    """`text` without its (nested) comments, at most 16 deep (RFC 3261 25.1, comment)."""
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
            if depth > 16:
                raise ParseError("comments nest deeper than 16")
        elif character == ")" and depth > 0:
            depth -= 1
        elif depth == 0:
            out.append(character)
        position += 1
    if depth:
        raise ParseError(f"a comment does not end: {shown(text)}")
    return "".join(out)
