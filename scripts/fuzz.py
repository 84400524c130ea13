"""Throws damaged messages at everything that reads what strangers send, for a bounded time.

    python scripts/fuzz.py --seconds 60        with coverage when atheris is installed, blind mutations otherwise
    python scripts/fuzz.py --blind --seed 7    blind, and the same inputs again
    python scripts/fuzz.py FILE ...            give these inputs to the checks: does the fault still show?

What has to hold for every input: no exception but ParseError, whose status is a final failure; a time that is linear in
the length; what was read and written can be read again and says the same; and a stream is cut into the same messages in
whatever pieces it comes. An input for which it does not is kept in
build/fuzz/, and the exit status is 1.
"""

import argparse
import hashlib
import importlib
import importlib.util
import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOUND = ROOT / "build" / "fuzz"
SEEDS = ROOT / "tests" / "torture"
LONGEST = 65535
# Reading 64 KiB takes milliseconds; what takes this long is not linear. CPU time, so a busy machine does not count.
LONGEST_SECONDS = 1.0

INVITE = (
    b"INVITE sip:bob@biloxi.example.com;transport=tcp?Subject=x SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP pc33.atlanta.example.com:5060;branch=z9hG4bKnashds8;received=192.0.2.1;rport=5061, "
    b"SIP/2.0/TLS [2001:db8::9:1]:5061;branch=z9hG4bK77\r\n"
    b"Max-Forwards: 70\r\nRoute: <sip:p1.example.com;lr>, <sips:p2.example.com;lr>\r\n"
    b'To: "Bob \\"B\\"" <sip:bob@biloxi.example.com>\r\nf: Alice <sip:alice@atlanta.example.com>;tag=1928301774\r\n'
    b"i: a84b4c76e66710@pc33\r\nCSeq: 314159 INVITE\r\nContact: <sip:alice@pc33.example.com>;q=0.7;expires=60\r\n"
    b"Supported: path, outbound\r\nUser-Agent: x (a (nested) comment)\r\nSubject: folded\r\n  line\r\n"
    b'Authorization: Digest username="alice", realm="a", nonce="84f1", uri="sip:b", response="7587", nc=00000001\r\n'
    b"Content-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n"
)
RESPONSE = (
    b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKnashds8\r\nFrom: sip:alice@a.example;tag=1\r\n"
    b"To: <sip:bob@b.example>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n"
    b'm: *\r\nContact: "x" <sip:bob@[2001:db8::1]:5070>;+sip.instance="<urn:uuid:0>";reg-id=1\r\nl: 0\r\n\r\n'
)
DIGEST = b'Digest username="a\\"b", realm="r", nonce="8", uri="sip:b", response="75", qop=auth, nc=0000000a, cnonce=c'
BINDING = b"\x00\x01\x00\x08\x21\x12\xa4\x42twelve bytes\x80\x22\x00\x04test"
TOKENS = (
    b"\r\n", b"\r\n ", b"\r\n\r\n", b":", b";", b",", b"?", b"&", b"=", b"<", b">", b'"', b"\\", b"(", b")", b"[", b"]",
    b"%", b"%00", b"%41", b"@", b"*", b"\x00", b"\xff", b"\xc3\x28", b"SIP/2.0", b"SIP/3.0 ", b"sip:", b"tel:+1",
    b"Via: ", b"v:", b"To: ", b"CSeq: ", b"Content-Length: ", b"l: -1", b"Route: <sip:a;lr>,", b"Contact: *", b";lr",
    b";tag=", b";branch=z9hG4bK", b"99999999999999999999", b"4294967296", b"0", b"[::1]", b"256.1.1.1", b"1.2.3.4:65536"
)  # fmt: skip


class Fault(Exception):
    """A reader broke its promise; the message says which."""


def checks() -> list[Callable[[bytes], None]]:
    """The promises, each a function that raises for an input that breaks it. Imports the readers."""
    from ringback.errors import ParseError
    from ringback.net.stun import binding_response
    from ringback.sip.digest import parse_authentication_info, parse_challenge, parse_credentials
    from ringback.sip.framing import PING, PONG, StreamFramer
    from ringback.sip.headers import parse_cseq, parse_name_addr, parse_via
    from ringback.sip.message import Message, Request
    from ringback.sip.parser import parse, salvage
    from ringback.sip.uri import parse_uri

    def attempt(read: Callable[..., object], *arguments: object) -> None:
        try:
            read(*arguments)
        except ParseError as error:
            if not 400 <= error.status <= 699:
                raise Fault(f"the status of a ParseError is {error.status}") from error

    def views(message: Message) -> None:
        """Read every typed view; each may refuse, in the one way that is allowed."""
        for view in ("via", "cseq", "call_id", "from_", "to", "from_tag", "to_tag"):
            attempt(getattr, message, view)
        for key in {*message.names}:
            for reader in (message.header, message.split, message.addresses, message.tokens, message.number):
                attempt(reader, key)
        if isinstance(message, Request):
            attempt(getattr, message, "target")

    def one_message(data: bytes) -> None:
        try:
            message = parse(data)
        except ParseError as error:
            if not 400 <= error.status <= 699:
                raise Fault(f"the status of a ParseError is {error.status}") from error
            salvage(data)
            return
        views(message)
        written = message.encode()
        again = parse(written)
        if again.encode() != written or type(again) is not type(message):
            raise Fault("what was written reads as something else")
        for key in {*message.names}:
            if again.all(key) != message.all(key):
                raise Fault(f"the values of {key} changed when they were written and read")

    def one_uri(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        try:
            uri = parse_uri(text)
        except ParseError:
            return
        if str(parse_uri(str(uri))) != str(uri):
            raise Fault("a URI that was written reads as something else")
        if not uri.equivalent(uri):
            raise Fault("a URI does not equal itself")

    values = (parse_credentials, parse_challenge, parse_authentication_info, parse_name_addr, parse_via, parse_cseq)

    def one_value(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        for reader in values:
            attempt(reader, text)

    def cut(pieces: list[bytes]) -> tuple[list[bytes], bool]:
        """The messages in a stream that comes in `pieces`, and whether it is sound; the keep-alives may differ."""
        framer = StreamFramer()
        items = [item for piece in pieces for item in framer.feed(piece)]
        return [item for item in items if item not in (PING, PONG)], framer.error is None

    def one_stream(data: bytes) -> None:
        whole = cut([data])
        size = 1 + len(data) % 97
        if cut([data[at : at + size] for at in range(0, len(data), size)]) != whole:
            raise Fault(f"a stream in pieces of {size} octets is cut otherwise than the same stream whole")

    def one_binding(data: bytes) -> None:
        binding_response(data, "2001:db8::1", 5060)

    return [one_message, one_uri, one_value, one_stream, one_binding]


def examine(data: bytes, promises: list[Callable[[bytes], None]]) -> None:
    """Hold every promise against `data`; raises what breaks one."""
    for promise in promises:
        started = time.process_time()
        promise(data)
        taken = time.process_time() - started
        if taken > LONGEST_SECONDS:
            raise Fault(f"{promise.__name__}: {taken:.1f} s for {len(data)} octets")


def keep(data: bytes) -> Path:
    """Keep an input that broke a promise, under a name of its own."""
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"crash-{hashlib.sha256(data).hexdigest()[:16]}"
    path.write_bytes(data)
    return path


def seeds() -> list[bytes]:
    """Whole messages to begin with: two of everyday life, and the torture tests' files."""
    files = sorted(path for path in SEEDS.rglob("*.dat")) if SEEDS.is_dir() else []
    uris = [b"sip:alice:pw@[2001:db8::1]:5060;transport=tcp;lr?To=%22x%22", b"tel:+1-201-555-0123;phone-context=x"]
    return [INVITE, RESPONSE, INVITE + RESPONSE, DIGEST, BINDING, *uris, *(path.read_bytes() for path in files)]


def damaged(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """`data` after a few mutations; some of them are such that only quadratic code minds them."""
    result = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(result))
        until = min(len(result), at + chance.choice((1, 2, 8, 40, 400)))
        kind = chance.randrange(8)
        if kind == 0:
            result[at:until] = chance.randbytes(until - at)
        elif kind == 1:
            del result[at:until]
        elif kind == 2:
            result[at:at] = chance.choice(TOKENS)
        elif kind == 3:
            result[at:until] = chance.choice(TOKENS)
        elif kind == 4:
            result[at:at] = result[at:until] * chance.choice((1, 2, 100))
        elif kind == 5:
            result[at:at] = chance.choice(TOKENS) * chance.choice((2, 70, 5000, 30000))
        elif kind == 6:
            lines = result.split(b"\r\n")
            line = chance.choice(lines)
            lines.insert(chance.randint(0, len(lines)), line)
            result = bytearray(b"\r\n".join(lines))
        else:
            other = chance.choice(others)
            result[at:] = other[chance.randint(0, len(other)) :]
        del result[LONGEST:]
    return bytes(result)


def blind(seconds: float, seed: int, promises: list[Callable[[bytes], None]]) -> int:
    """Mutate without looking for `seconds`; the exit status."""
    chance = random.Random(seed)
    corpus = seeds()
    until = time.monotonic() + seconds
    count = 0
    print(f"Fuzzing for {seconds:.0f} s, blind, seed {seed}.", flush=True)
    while time.monotonic() < until:
        data = damaged(chance.choice(corpus), corpus, chance) if count >= len(corpus) else corpus[count]
        count += 1
        try:
            examine(data, promises)
        except Exception:
            traceback.print_exc()
            print(f"Input {count} of seed {seed} breaks a promise; it is kept in {keep(data).relative_to(ROOT)}")
            return 1
    print(f"{count} inputs, no fault.")
    return 0


def guided(seconds: float) -> int:
    """Hand over to atheris, which leaves the process itself when time is up or a fault is found."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["ringback"]):
        promises = checks()
    corpus = FOUND / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in seeds():
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    options = [f"-max_total_time={int(seconds)}", f"-max_len={LONGEST}", "-timeout=10"]
    options.append(f"-artifact_prefix={FOUND}/crash-")
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: examine(data, promises))
    atheris.Fuzz()
    return 0


def main() -> int:
    arguments = argparse.ArgumentParser(description="Fuzz the readers of ringback.sip.")
    arguments.add_argument("--seconds", type=float, default=60.0, help="how long (default 60)")
    arguments.add_argument("--blind", action="store_true", help="without coverage, even when atheris is installed")
    arguments.add_argument("--seed", type=int, help="what the blind mutations follow from (default: another each time)")
    arguments.add_argument("files", nargs="*", type=Path, help="inputs to examine, instead of mutating")
    options = arguments.parse_args()
    # Only the source can be instrumented, and a fault in it has a line. The package decides when it is imported first.
    os.environ["RINGBACK_PURE"] = "1"
    importlib.import_module("ringback")
    if options.files:
        promises = checks()
        for path in options.files:
            examine(path.read_bytes(), promises)
            print(f"{path}: no fault.")
        return 0
    if not options.blind and options.seed is None and importlib.util.find_spec("atheris") is not None:
        return guided(options.seconds)
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    return blind(options.seconds, seed, checks())


if __name__ == "__main__":
    sys.exit(main())
