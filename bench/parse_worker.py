"""Parses one INVITE many times with one library and prints the CPU time; run as a process of its own.

``python parse_worker.py ringback|sippy|sipmessage COUNT MESSAGE`` prints nanoseconds of CPU a message. Each library
reads the request line and every header into typed values, as its own API offers them. The messages differ from each
other as those of different calls do, so that remembering the last one gains nothing.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

Reader = Callable[[bytes], str]
"""Parses a message, reads all its headers, and gives the tag of From."""


def ringback_reader() -> Reader:
    """This project's parser."""
    parse = import_module("ringback.sip.parser").parse
    parse_via = import_module("ringback.sip.headers").parse_via

    def read(data: bytes) -> str:
        message = parse(data)
        _ = message.target
        for value in message.split("via"):
            parse_via(value)
        for key in ("record-route", "route", "contact"):
            message.addresses(key)
        _ = message.to, message.cseq, message.call_id
        for key in ("max-forwards", "expires", "content-length"):
            message.number(key)
        for key in ("allow", "supported"):
            message.tokens(key)
        for key in ("content-type", "user-agent", "subject"):
            message.header(key)
        return str(message.from_.tag)

    return read


def sippy_reader() -> Reader:
    """The parser of the sippy stack: each header is parsed when its body is asked for."""
    request_class = import_module("sippy.SipRequest").SipRequest

    def read(data: bytes) -> str:
        message = request_class(data.decode())  # reads Content-Type and Content-Length already
        message.getRURI()
        for header in message.headers:
            header.getBody()
        return str(message.getHFBody("from").getTag())

    return read


def sipmessage_reader() -> Reader:
    """The parser of the sipmessage package: each property parses its header."""
    message_class = import_module("sipmessage").Message

    def read(data: bytes) -> str:
        message = message_class.parse(data)
        _ = message.via, message.record_route, message.route, message.contact
        _ = message.to_address, message.cseq, message.call_id
        _ = message.max_forwards, message.expires, message.content_length
        _ = message.headers.get("Allow"), message.supported
        _ = message.content_type, message.user_agent, message.subject
        return str(message.from_address.parameters["tag"])

    return read


VARIANTS = 64

READERS = {"ringback": ringback_reader, "sippy": sippy_reader, "sipmessage": sipmessage_reader}


def variants(data: bytes) -> list[bytes]:
    """The message as that of 64 different calls: other users, tags, branches and Call-IDs, of the same length."""
    found = []
    for number in range(VARIANTS):
        changed = data
        for constant in (
            b"alice",
            b"bob",
            b"1928301774",
            b"2xTb9vxSit55XU7p8",
            b"721e4.1",
            b"2d4790.1",
            b"74bf9",
            b"314159",
        ):
            changed = changed.replace(constant, constant[:-2] + b"%02d" % number)
        found.append(changed)
    return found


def main() -> None:
    """Time it. Fails loudly when the library did not read what the message says."""
    library, count, path = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    messages = variants(path.read_bytes())
    read = READERS[library]()
    if (tags := [read(data) for data in messages]) != [f"19283017{number:02d}" for number in range(VARIANTS)]:
        sys.exit(f"{library} read the tags {tags!r}")
    turns = max(1, count // VARIANTS)
    for data in messages * max(1, turns // 10):
        read(data)
    gc.collect()
    start = time.process_time_ns()
    for _ in range(turns):
        for data in messages:
            read(data)
    print((time.process_time_ns() - start) / (turns * VARIANTS))


if __name__ == "__main__":
    main()
