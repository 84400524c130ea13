"""The 1,384 SIP messages that RFCs print: what is whole is read and written as it came, the rest breaks nothing.

They were cut out of the text by a program: some took a caption or the RFC's own markup along, some lack what the RFC
left out "for brevity". What is wrong with these is said here, not by the parser.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from functools import cache
from typing import NamedTuple

from ringback.errors import ParseError
from ringback.sip.message import Request
from ringback.sip.parser import parse, salvage
from tests.sip.inputs import read_views
from tests.torture.stage import Stage
from tests.torture.verdicts import DATA, SOURCE


class Example(NamedTuple):
    """One message; `complete` when its body has the length that it says, and nothing was left out with "..."."""

    name: str
    section: str
    complete: bool
    data: bytes


@cache
def examples() -> list[Example]:
    text = gzip.decompress((DATA / "examples.jsonl.gz").read_bytes()).decode()
    rows = [json.loads(line) for line in text.splitlines()]
    return [Example(row["name"], row["section"], row["complete"], row["message"].encode("latin-1")) for row in rows]


NEEDED = {"via": "via", "v": "via", "from": "from", "f": "from", "to": "to", "t": "to", "call-id": "call-id"}
NEEDED |= {"i": "call-id", "cseq": "cseq"}
#: RFC 4475 prints what is no message; what becomes of it stands in the table of verdicts.
TORTURE = {
    "rfc4475-013": "3.1.2.4, a CSeq that is too large",
    "rfc4475-020": "3.1.2.17, a CSeq of another method",
    "rfc4475-021": "3.1.2.18, a CSeq of another method",
}
#: Complete messages in which one header cannot be read, for what the RFC printed there.
UNREADABLE = {
    "rfc3428-004": (["from_"], "two semicolons before tag"),
    "rfc3665-009": (["contact"], "Contact: *"),
    "rfc3666-038": (["route"], "a URI without a scheme"),
    "rfc3666-040": (["route"], "a URI without a scheme"),
    "rfc4458-004": (["contact"], "a line break, with a backslash, within a URI"),
    "rfc4458-005": (["contact"], "a line break, with a backslash, within a URI"),
    "rfc4475-010": (["via", "contact"], "3.1.2.1, semicolons and commas"),
    "rfc4475-014": (["to"], "3.1.2.6, a quote that does not end"),
    "rfc4475-017": (["contact"], "3.1.2.13, no <> around a URI with a header"),
    "rfc4475-018": (["to"], "3.1.2.14, spaces within <>"),
    "rfc4475-019": (["from_", "to"], "3.1.2.15, a display name without quotes"),
    "rfc5118-002": (["target"], "4.2, an IPv6 address without brackets"),
    "rfc5359-210": (["via"], 'received="120."'),
    "rfc5626-001": (["contact"], "two semicolons, one at the end of a line"),
    "rfc8599-001": (["contact"], "a line break within a URI"),
    "rfc8599-002": (["contact"], "a line break within a URI"),
    "rfc8599-003": (["contact"], "a line break within a URI"),
}


def fault(example: Example) -> str:
    """Why this is no message, or ""; found by no more than RFC 3261 7.3.1 (header lines) and 20 (which are needed)."""
    lines = example.data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    names = []
    for line in lines:
        if line[:1] in (" ", "\t"):
            continue
        name, colon, _ = line.partition(":")
        if not colon or re.fullmatch(r"[A-Za-z0-9.!%*_+`'~-]+[ \t]*", name) is None:
            return "a line that is no header"
        names.append(NEEDED.get(name.strip().lower(), ""))
    missing = set(NEEDED.values()) - set(names)
    if missing:
        return f"no {', '.join(sorted(missing))}"
    return TORTURE.get(example.name, "")


def test_what_there_is() -> None:
    assert len(examples()) == 1384
    assert sum(example.complete for example in examples()) == 734
    assert Counter(fault(example) for example in examples() if example.complete) == {
        "": 633,
        "a line that is no header": 85,
        "no via": 11,
        "no from": 1,
        "no call-id, from, to": 1,
        **dict.fromkeys(TORTURE.values(), 1),
    }


def test_what_is_whole_is_read_and_written_as_it_came() -> None:
    for example in examples():
        if example.complete and not fault(example):
            message = parse(example.data)
            assert message.encode() == example.data, example.name
            refused = [name for name in read_views(message) if name != "equivalent"]
            if isinstance(message, Request):
                try:
                    assert message.target.text == message.uri
                except ParseError:
                    refused.append("target")
            expected, _ = UNREADABLE.get(example.name, ([], ""))
            assert sorted(set(refused)) == sorted(expected), (example.name, example.section)


def test_what_is_not_whole_is_refused() -> None:
    for example in examples():
        if example.complete and fault(example):
            try:
                parse(example.data)
            except ParseError as error:
                assert error.status == (501 if example.name == "rfc4475-021" else 400), example.name
            else:
                raise AssertionError(f"{example.name} was accepted, with {fault(example)}")


def test_none_breaks_the_parser() -> None:
    for example in examples():
        for data in (example.data, example.data.replace(b"\r\n", b"\n"), example.data[:-7], example.data[9:]):
            salvage(data)
            try:
                read_views(parse(data))
            except ParseError as error:
                assert error.status in (400, 501, 505), example.name


def test_none_breaks_a_server() -> None:
    """All of them, one after the other, through one server, which still answers at the end."""
    stage = Stage(SOURCE)
    for number, example in enumerate(examples()):
        stage.deliver(example.data)
        if number % 100 == 99:
            stage.world.advance(1.0)
    stage.world.advance(300.0)
    stage.taken()
    options = stage.phone.build("OPTIONS", "sip:example.com").replace(b"z9hG4bK", b"z9hG4bKlast")
    [(answer, _)] = stage.deliver(options)
    assert answer.startswith(b"SIP/2.0 200 OK\r\n")
