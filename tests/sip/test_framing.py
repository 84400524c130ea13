"""Cutting a stream into messages, whatever the sizes of the pieces in which it comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.framing import PING, PONG, StreamFramer


def message(
    body: bytes = b"", length: bytes | None = None, extra: bytes = b"", name: bytes = b"Content-Length: "
) -> bytes:
    """One message; `length` is what is written for its Content-Length when that is not the truth."""
    said = str(len(body)).encode() if length is None else length
    return (
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\n" + extra + name + said + b"\r\n\r\n" + body
    )


def refused(data: bytes) -> StreamFramer:
    """A framer that `data` and a sound message after it were fed to: it has to hand out nothing."""
    framer = StreamFramer()
    assert framer.feed(data + message(b"hidden")) == []
    assert framer.feed(message(b"later")) == []
    assert framer.error is not None
    assert framer.pending == 0
    return framer


class TestMessages:
    def test_one_message_comes_out_as_it_came_in(self) -> None:
        framer = StreamFramer()
        data = message(b"v=0\r\n\r\nx")
        assert framer.feed(data) == [data]
        assert framer.pending == 0
        assert framer.error is None

    def test_several_in_one_piece(self) -> None:
        first, second, third = message(b"a"), message(), message(b"\r\n\r\n")
        assert StreamFramer().feed(first + second + third) == [first, second, third]

    def test_the_rest_waits_for_its_end(self) -> None:
        framer = StreamFramer()
        first, second = message(b"abc"), message(b"defgh")
        assert framer.feed(first + second[:-2]) == [first]
        assert framer.pending == len(second) - 2
        assert framer.feed(second[-2:]) == [second]
        assert framer.pending == 0

    def test_a_head_that_ends_between_the_pieces(self) -> None:
        data = message(b"body")
        end = data.index(b"\r\n\r\n")
        for cut in range(end, end + 5):
            framer = StreamFramer()
            assert framer.feed(data[:cut]) == []
            assert framer.feed(data[cut:] + data) == [data, data]

    @pytest.mark.parametrize(
        "name",
        [
            b"Content-Length: ",
            b"content-length:",
            b"CONTENT-LENGTH \t:\t ",
            b"l: ",
            b"L:",
            b"l  :",
            b"Content-Length:\r\n ",
            b"Content-Length\r\n\t: ",
            b"l:  \r\n   \r\n\t",
            b"Content-Length: 00",
        ],
    )
    def test_every_spelling_of_content_length(self, name: bytes) -> None:
        data = message(b"12345", name=name)
        assert StreamFramer().feed(data + data) == [data, data]

    @pytest.mark.parametrize(
        "extra",
        [
            b"X-Content-Length: 3\r\n",
            b"Content-Length-X: 3\r\n",
            b"Subject: a\r\n Content-Length: 3\r\n",
            b"Subject: Content-Length: 3\r\n",
            b"Lang: 3\r\n",
        ],
    )
    def test_what_only_looks_like_content_length(self, extra: bytes) -> None:
        data = message(b"12345", extra=extra)
        assert StreamFramer().feed(data + data) == [data, data]

    def test_a_body_may_hold_anything(self) -> None:
        body = message(b"inner") + b"\n\r\x00\xff"
        data = message(body)
        assert StreamFramer().feed(data) == [data]

    def test_a_response_is_framed_too(self) -> None:
        data = b"SIP/2.0 200 OK\r\nl: 2\r\n\r\nhi"
        assert StreamFramer().feed(data) == [data]


class TestKeepAlive:
    def test_a_double_crlf_is_a_ping_and_a_single_one_a_pong(self) -> None:
        framer = StreamFramer()
        assert framer.feed(b"\r\n\r\n") == [PING]
        assert framer.feed(b"\r\n") == [PONG]
        assert framer.pending == 0

    def test_between_messages(self) -> None:
        data = message(b"x")
        assert StreamFramer().feed(data + b"\r\n\r\n" + data + b"\r\n" + data) == [data, PING, data, PONG, data]

    def test_three_crlf_are_a_ping_and_a_pong(self) -> None:
        data = message()
        assert StreamFramer().feed(b"\r\n\r\n\r\n" + data) == [PING, PONG, data]

    def test_a_ping_in_pieces_is_a_ping_in_the_end(self) -> None:
        framer = StreamFramer()
        assert [framer.feed(bytes([octet])) for octet in b"\r\n\r\n"] == [[], [PONG], [], [PING]]

    def test_a_settled_pong_is_no_half_of_a_ping(self) -> None:
        framer = StreamFramer()
        assert framer.feed(b"\r\n") == [PONG]
        framer.settle()
        assert framer.feed(b"\r\n") == [PONG]
        framer.settle()
        assert framer.feed(b"\r\n\r\n") == [PING]

    def test_a_message_parts_two_pongs(self) -> None:
        framer = StreamFramer()
        data = message()
        assert framer.feed(b"\r\n" + data) == [PONG, data]
        assert framer.feed(b"\r\n") == [PONG]

    def test_cr_without_lf_is_refused(self) -> None:
        framer = StreamFramer()
        assert framer.feed(b"\r\n\r") == [PONG]
        assert framer.feed(b"x") == []
        assert framer.error is not None


class TestRefusals:
    @pytest.mark.parametrize(
        "length",
        [
            b"-1",
            b"+5",
            b"0x5",
            b"5.0",
            b"",
            b" ",
            b"5,5",
            b"5 5",
            b"5\r\n 5",
            b"\xb2",
            "٣".encode(),
            b"5;a=b",
            b"\x005",
        ],
    )
    def test_a_content_length_that_is_no_number(self, length: bytes) -> None:
        framer = refused(message(b"hello", length))
        assert framer.error is not None and framer.error.status == 400

    @pytest.mark.parametrize("length", [b"4294967301", b"18446744073709551621", b"9" * 20, b"1" + b"0" * 5000])
    def test_a_huge_content_length_is_not_wrapped(self, length: bytes) -> None:
        framer = refused(message(b"hello", length))
        assert framer.error is not None and framer.error.status in (400, 413)

    def test_missing(self) -> None:
        framer = refused(b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c\r\n\r\n")
        assert framer.error is not None
        assert (framer.error.status, str(framer.error)) == (400, "no Content-Length on a stream")

    @pytest.mark.parametrize(
        "extra", [b"l: 5\r\n", b"Content-Length: 5\r\n", b"CONTENT-LENGTH : 99\r\n", b"L:\r\n 0\r\n"]
    )
    def test_twice(self, extra: bytes) -> None:
        framer = refused(message(b"hello", extra=extra))
        assert framer.error is not None
        assert (framer.error.status, str(framer.error)) == (400, "more than one Content-Length")

    @pytest.mark.parametrize(
        "extra", [b"A: b\nContent-Length: 0\r\n", b"A: b\n\nB: c\r\n", b"A: b\rC: d\r\n", b"A: b\r\r\n", b"A: b\n\r\n"]
    )
    def test_a_bare_cr_or_lf_in_the_head(self, extra: bytes) -> None:
        framer = refused(message(b"hello", extra=extra))
        assert framer.error is not None
        assert (framer.error.status, str(framer.error)) == (400, "a bare CR or LF in the head")

    @pytest.mark.parametrize("octet", [0, 9, 10, 22, 32, 127, 128, 255])
    def test_no_message_begins_so(self, octet: int) -> None:
        framer = refused(bytes([octet]))
        assert framer.error is not None and framer.error.status == 400

    def test_the_head_is_kept_for_the_answer(self) -> None:
        head = b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c\r\n\r\n"
        assert refused(head + b"body").head == head

    def test_messages_before_the_fault_come_out(self) -> None:
        good = message(b"x")
        framer = StreamFramer()
        assert framer.feed(good + message(b"", b"-1") + good) == [good]
        assert framer.error is not None


class TestLimits:
    def test_the_largest_message(self) -> None:
        data = message(b"x" * 100)
        assert StreamFramer(largest_message=len(data)).feed(data) == [data]
        framer = StreamFramer(largest_message=len(data) - 1)
        assert framer.feed(data) == []
        assert framer.error is not None and framer.error.status == 413
        assert framer.head == data[:-100]

    def test_the_largest_message_is_refused_before_its_body_comes(self) -> None:
        framer = StreamFramer()
        framer.feed(message(b"", b"1048576"))
        assert framer.error is not None and framer.error.status == 413

    def test_the_largest_head(self) -> None:
        data = message(b"")
        # The limit is on what stands before the empty line.
        assert StreamFramer(largest_head=len(data) - 4).feed(data) == [data]
        framer = StreamFramer(largest_head=len(data) - 5)
        assert framer.feed(data) == []
        assert framer.error is not None and framer.error.status == 513

    def test_an_endless_head_is_refused_at_the_limit(self) -> None:
        framer = StreamFramer(largest_head=1000)
        start = b"OPTIONS sip:a@b SIP/2.0\r\nVia: c\r\nX: "
        framer.feed(start)
        fed = len(start)
        while framer.error is None:
            framer.feed(b"y")
            fed += 1
        assert fed == 1001
        assert framer.head == b"OPTIONS sip:a@b SIP/2.0\r\nVia: c\r\n\r\n"

    def test_no_octet_is_looked_at_again(self) -> None:
        """Fed byte by byte, a message of full size: each call may only look at its own octets."""

        class Watched(bytearray):
            looked = 0

            def find(self, sub, start=0, end=None):  # type: ignore[no-untyped-def]
                Watched.looked += len(self) - start
                return super().find(sub, start)

        framer = StreamFramer()
        data = message(b"b" * 30000, extra=b"X: " + b"y" * 30000 + b"\r\n")
        framer.feed(data[:1])
        framer._buffer = Watched(framer._buffer)
        out: list[bytes] = []
        for at in range(1, len(data)):
            out += framer.feed(data[at : at + 1])
        assert out == [data]
        assert 30000 < Watched.looked <= 4 * len(data)


STREAMS = st.lists(
    st.one_of(
        st.binary(max_size=40).map(message),
        st.binary(max_size=40).map(lambda body: message(body, name=b"l:")),
        st.just(PING),
    ),
    max_size=8,
)


@given(STREAMS, st.data())
def test_the_pieces_do_not_matter(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    framer = StreamFramer()
    items: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        items += framer.feed(stream[start:end])
    assert framer.error is None
    assert framer.pending == 0
    # A ping that comes in two pieces is reported as a pong first.
    assert [item for item in items if item != PONG] == parts


@given(st.binary(max_size=300), st.integers(1, 20))
def test_any_octets_any_pieces_same_messages(noise: bytes, step: int) -> None:
    """What is refused and what is handed out depends on the octets alone."""
    stream = message(b"first") + noise + message(b"last")
    at_once = StreamFramer()
    whole = [item for item in at_once.feed(stream) if item not in (PING, PONG)]
    framer = StreamFramer()
    items: list[bytes] = []
    for at in range(0, len(stream), step):
        items += framer.feed(stream[at : at + step])
    assert [item for item in items if item not in (PING, PONG)] == whole
    assert (framer.error is None) == (at_once.error is None)
    assert str(framer.error) == str(at_once.error)
    assert framer.pending == at_once.pending
