"""The lexical rules that headers and URIs share (RFC 3261 section 25.1).

Every function is linear in the length of its input. Where input breaks the grammar, `ParseError` says what and where.
"""

from __future__ import annotations

import re
from typing import Final

from ringback.errors import LocalError, ParseError

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+\Z")
_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]+\Z")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Possessive: what was matched is never given up again, so hostile input takes no longer than any other. Only single
# characters are repeated so: up to 3.11.4, Python matches a possessive group wrongly whose last turn fails halfway. The
# group begins with a character of its own, so that going back costs no more than one pass.
_QUOTED: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*"', re.DOTALL)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)

#: SP and HTAB: the white space in a header value, once its folds are undone (25.1, WSP).
SPACE: Final = " \t"
#: The longest name in the DNS, written with its final dot.
LONGEST_HOST: Final = 254
LONGEST_IPV4: Final = len("255.255.255.255")
#: How many parameters one header value or URI may carry.
MOST_PARAMETERS: Final = 64
#: How deep comments may nest.
DEEPEST_COMMENT: Final = 16


def character_set(characters: str) -> bytes:
    """What `span` takes: for each of the first 256 characters whether it is one of `characters`."""
    return bytes([chr(code) in characters for code in range(256)])


LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DIGITS: Final = "0123456789"
TOKEN_CHARACTERS: Final = character_set(LETTERS + DIGITS + "-.!%*_+`'~")
# To start a search by a regular expression costs as much as to look at a hundred characters here: what is short is
# looked at. Interpreted, too, the two differ little up to about this length.
_SHORT: Final = 32


def span(text: str, characters: bytes) -> int:
    """The position of the first character that is not in the set, or the length of `text`."""
    # Compiled, a loop from 0 counts in a plain integer of C; one that begins elsewhere takes twice as long.
    for position in range(len(text)):
        code = ord(text[position])
        if code > 255 or characters[code] == 0:
            return position
    return len(text)


def is_token(text: str) -> bool:
    """Whether `text` is a `token` of RFC 3261 25.1."""
    size = len(text)
    if size > _SHORT:
        return _TOKEN.match(text) is not None
    return size > 0 and span(text, TOKEN_CHARACTERS) == size


def is_host(text: str) -> bool:
    """Whether `text` is a host name, an IPv4 address or a bracketed IPv6 reference."""
    if text.startswith("["):
        return text.endswith("]") and is_ipv6(text[1:-1])
    return host_end(text) == len(text)


# What a character is in a host name; 0 for one that none holds. The underscore is let through: DNS names have it.
_DIGIT: Final = 1
_LETTER: Final = 2
_HYPHEN: Final = 3
_DOT: Final = 4
_KINDS: Final = {**dict.fromkeys(DIGITS, _DIGIT), **dict.fromkeys(LETTERS + "_", _LETTER), "-": _HYPHEN, ".": _DOT}
_HOST_CHARACTERS: Final = bytes([_KINDS.get(chr(code), 0) for code in range(256)])


def host_end(text: str) -> int:
    """Where the host name or IPv4 address ends with which `text` begins; -1 when it begins with none.

    hostname = *( domainlabel "." ) toplabel [ "." ]; a label begins and ends with a letter or a digit.
    """
    before = _DOT
    numeric = False
    end = len(text)
    for position in range(len(text)):
        code = ord(text[position])
        kind = _HOST_CHARACTERS[code] if code < 256 else 0
        if kind == 0:
            end = position
            break
        if kind == _LETTER:
            numeric = False
        elif kind == _DIGIT:
            if before == _DOT:
                numeric = True
        elif before == _DOT or (before == _HYPHEN and kind == _DOT):
            return -1
        elif kind == _HYPHEN:
            numeric = False
        before = kind
    if end == 0 or before == _HYPHEN or end > LONGEST_HOST:
        return -1
    # "toplabel = ALPHA / ALPHA *( alphanum / "-" ) alphanum": digits only, so it has to be an IPv4 address.
    if numeric and not is_ipv4(text[:end]):
        return -1
    return end


def is_ipv4(text: str) -> bool:
    """Whether `text` is four decimal numbers of at most 255, without leading zeros."""
    if len(text) > LONGEST_IPV4:
        return False
    dots = 0
    octet = -1
    for position in range(len(text)):
        code = ord(text[position])
        if code == ord(".") and octet >= 0:
            dots += 1
            octet = -1
        elif ord("0") <= code <= ord("9") and octet != 0:
            # dec-octet of RFC 3986, which RFC 5954 4.1 puts in the place of 1*3DIGIT: no leading zero, which some take
            # for octal.
            octet = code - ord("0") if octet < 0 else octet * 10 + code - ord("0")
            if octet > 255:
                return False
        else:
            return False
    return dots == 3 and octet >= 0


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
    value = short_number(text)
    if 0 <= value <= most:
        return value
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


def short_number(text: str) -> int:
    """The decimal number of at most ten digits that `text` is; -1 when it is none."""
    if not 0 < len(text) <= 10:
        return -1
    value = 0
    for position in range(len(text)):
        code = ord(text[position])
        if not ord("0") <= code <= ord("9"):
            return -1
        value = value * 10 + code - ord("0")
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
    return _split(text, ord(","))


def split_parameters(text: str) -> list[str]:
    """What stands between semicolons, each stripped; semicolons in quotes and <> do not separate."""
    if ";" not in text:
        return [text.strip(SPACE)]
    if '"' not in text and "<" not in text:
        return [part.strip(SPACE) for part in text.split(";")]
    return _split(text, ord(";"))


def _split(text: str, separator: int) -> list[str]:
    parts: list[str] = []
    start = 0
    position = 0
    end = len(text)
    while position < end:
        code = ord(text[position])
        if code == separator:
            parts.append(text[start:position].strip(SPACE))
            start = position + 1
        elif code == ord('"'):
            position = quoted_end(text, position)
            continue
        elif code == ord("<"):
            position = text.find(">", position)
            if position < 0:
                raise ParseError(f"'<' without '>' in {shown(text)}")
        position += 1
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
        part = parts[position]
        equals = part.find("=")
        name = part if equals < 0 else part[:equals]
        name = name.strip(SPACE).lower()
        if not is_token(name):
            raise ParseError(f"not a parameter: {shown(part)}")
        if parameters and name in parameters:
            raise ParseError(f"parameter {name} stands twice")
        if equals < 0:
            parameters[name] = None
            continue
        value = part[equals + 1 :].strip(SPACE)
        if not value:
            raise ParseError(f"parameter {name} has no value after '='")
        if value.startswith('"') and quoted_end(value, 0) != len(value):
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
