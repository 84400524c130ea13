"""STUN keep-alives: what our own server answers, what others may, and the schedule of a question."""

import struct

import pytest

from ringback.net.stun import binding_response
from ringback.ua.stun import Answer, Check, binding_request, read_answer

TRANSACTION = bytes(range(12))


@pytest.mark.parametrize(("host", "port"), [("203.0.113.9", 40000), ("2001:db8::9", 5060), ("127.0.0.1", 1)])
def test_question_and_answer(host: str, port: int) -> None:
    answer = binding_response(binding_request(TRANSACTION), host, port)
    assert answer is not None
    assert read_answer(answer) == Answer(TRANSACTION, True, host, port)


def test_the_request_is_20_octets() -> None:
    assert binding_request(TRANSACTION).hex() == "000100002112a442" + TRANSACTION.hex()


def message(kind: int, attributes: bytes, *, length: int | None = None, cookie: int = 0x2112A442) -> bytes:
    size = len(attributes) if length is None else length
    return struct.pack("!HHI", kind, size, cookie) + TRANSACTION + attributes


PLAIN = struct.pack("!HHBBH", 0x0001, 8, 0, 1, 5062) + bytes((192, 0, 2, 1))
SOFTWARE = struct.pack("!HH", 0x8022, 3) + b"abc\0"
XOR = bytes.fromhex("002000080001") + (40000 ^ 0x2112).to_bytes(2, "big") + bytes(
    a ^ b for a, b in zip((203, 0, 113, 9), bytes.fromhex("2112a442"), strict=True)
)  # fmt: skip


def test_servers_of_rfc_3489_give_the_plain_address() -> None:
    assert read_answer(message(0x0101, SOFTWARE + PLAIN)) == Answer(TRANSACTION, True, "192.0.2.1", 5062)


@pytest.mark.parametrize("attributes", [PLAIN + XOR, XOR + PLAIN])
def test_the_masked_address_counts_more(attributes: bytes) -> None:
    assert read_answer(message(0x0101, attributes)) == Answer(TRANSACTION, True, "203.0.113.9", 40000)


def test_an_error_is_an_answer() -> None:
    assert read_answer(message(0x0111, b"")) == Answer(TRANSACTION, False, "", 0)


@pytest.mark.parametrize(
    "attributes", [b"", struct.pack("!HHBBH", 0x20, 4, 0, 1, 1), struct.pack("!HHBBHI", 0x20, 8, 0, 7, 1, 1)]
)
def test_answers_without_an_address(attributes: bytes) -> None:
    assert read_answer(message(0x0101, attributes)) == Answer(TRANSACTION, True, "", 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        binding_request(TRANSACTION),
        message(0x0101, PLAIN)[:-1],
        message(0x0101, PLAIN[:-4]),
        message(0x0101, PLAIN, length=8),
        message(0x0101, PLAIN, cookie=0x2112A443),
        message(0x0101, struct.pack("!HH", 0x20, 65535)),
        message(0x0003, PLAIN),
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    assert read_answer(data) is None


def test_the_schedule() -> None:
    """RFC 8489 6.2.1 with Rc 7 and Rm 16: "requests would be sent at times 0 ms, 500 ms, 1500 ms, 3500 ms, 7500 ms,
    15500 ms, and 31500 ms. If the client has not received a response after 39500 ms, the client will consider the
    transaction to have timed out"."""
    check = Check(TRANSACTION, 100.0)
    sent = []
    while not check.failed:
        at = check.due
        assert check.advance(at - 0.001) == b""
        if check.advance(at):
            sent.append(at - 100.0)
    assert sent == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert check.due == 139.5
    assert check.advance(1000.0) == b""


def test_an_answer_ends_it() -> None:
    check = Check(TRANSACTION, 0.0)
    assert check.advance(0.0) == binding_request(TRANSACTION)
    assert not check.take(Answer(b"another one!", True, "", 0))
    assert check.take(Answer(TRANSACTION, True, "203.0.113.9", 40000))
    assert (check.answered, check.failed) == (True, False)
    assert not check.take(Answer(TRANSACTION, True, "203.0.113.9", 40000))
    assert check.advance(100.0) == b""


def test_an_error_response_is_a_failure() -> None:
    check = Check(TRANSACTION, 0.0)
    check.advance(0.0)
    assert check.take(Answer(TRANSACTION, False, "", 0))
    assert check.failed
