"""Signed nonces, and the counts of those that were used."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import ConfigurationError, LocalError
from ringback.sip.digest_nonce import EARLIEST, Count, NonceCounts, NonceSigner, issued_at, token_of

SECRET = bytes(range(32))
TOKEN = b"0123456789ab"
NOW = 1_700_000_000.0


def test_a_nonce_is_known_again() -> None:
    signer = NonceSigner(SECRET)
    raw = signer.read(signer.make("a.org", "", NOW + 0.25, TOKEN), "a.org", "")
    assert issued_at(raw) == NOW + 0.25
    assert token_of(raw) == TOKEN
    # It is known to another process with the same secret, and to no other.
    assert NonceSigner(SECRET).read(signer.make("a.org", "", NOW, TOKEN), "a.org", "")
    assert NonceSigner(SECRET[::-1]).read(signer.make("a.org", "", NOW, TOKEN), "a.org", "") == b""


@pytest.mark.parametrize(("realm", "peer"), [("b.org", "192.0.2.1"), ("a.org", "192.0.2.2"), ("a.org", ""), ("", "")])
def test_a_nonce_is_bound_to_realm_and_peer(realm: str, peer: str) -> None:
    signer = NonceSigner(SECRET)
    nonce = signer.make("a.org", "192.0.2.1", NOW, TOKEN)
    assert signer.read(nonce, "a.org", "192.0.2.1") != b""
    assert signer.read(nonce, realm, peer) == b""


def test_no_bit_of_a_nonce_can_be_changed() -> None:
    signer = NonceSigner(SECRET)
    raw = base64.b64decode(signer.make("a.org", "", NOW, TOKEN))
    for bit in range(len(raw) * 8):
        forged = bytearray(raw)
        forged[bit // 8] ^= 1 << bit % 8
        assert signer.read(base64.b64encode(forged).decode(), "a.org", "") == b"", bit
    assert signer.read(base64.b64encode(raw).decode(), "a.org", "") == raw


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_other_text_is_no_nonce(text: str) -> None:
    assert NonceSigner(SECRET).read(text, "a.org", "") == b""


def test_what_cannot_make_a_nonce() -> None:
    signer = NonceSigner(SECRET)
    for token in (b"1234567", b"x" * 33):
        with pytest.raises(LocalError, match="8 to 32 bytes"):
            signer.make("a.org", "", NOW, token)
    with pytest.raises(LocalError, match="wall-clock"):
        signer.make("a.org", "", -1.0, TOKEN)
    with pytest.raises(ConfigurationError, match="15 bytes"):
        NonceSigner(b"x" * 15)


def test_the_longest_and_the_shortest_token() -> None:
    signer = NonceSigner(SECRET)
    for token in (b"x" * 8, b"x" * 32):
        assert token_of(signer.read(signer.make("a.org", "", 0.0, token), "a.org", "")) == token


def nonce(issued: float, token: bytes = TOKEN) -> bytes:
    return base64.b64decode(NonceSigner(SECRET).make("a.org", "", issued, token))


def test_counts_have_to_rise() -> None:
    counts = NonceCounts(300.0, 10, 0.0)
    raw, other = nonce(NOW), nonce(NOW, b"another token")
    given = [1, 1, 2, 5, 4, 5, 6]
    assert [counts.use(raw, count, NOW) is Count.RISEN for count in given] == [
        True, False, True, True, False, False, True,
    ]  # fmt: skip
    assert counts.use(raw, 6, NOW) is Count.REPEATED
    assert counts.use(other, 0, NOW) is Count.RISEN
    assert counts.use(other, 0, NOW) is Count.REPEATED
    assert len(counts) == 2


def test_a_count_lives_as_long_as_its_nonce() -> None:
    counts = NonceCounts(300.0, 10, 0.0)
    raw = nonce(NOW)
    counts.use(raw, 1, NOW)
    counts.expire(NOW + 300.0)
    assert counts.use(raw, 1, NOW + 300.0) is Count.REPEATED
    counts.expire(NOW + 300.001)
    assert len(counts) == 0


def test_using_one_nonce_clears_expired_ones_little_by_little() -> None:
    counts = NonceCounts(300.0, 1000, 0.0)
    for number in range(100):
        counts.use(nonce(NOW, f"token {number:06}".encode()), 1, NOW)
    later = NOW + 301.0
    counts.use(nonce(later), 1, later)
    assert len(counts) == 100 - 64 + 1
    counts.use(nonce(later, b"another token"), 1, later)
    assert len(counts) == 2


def test_when_full_the_oldest_is_dropped_and_can_still_not_be_replayed() -> None:
    counts = NonceCounts(300.0, 3, 0.0)
    used = [nonce(NOW + number) for number in range(4)]
    for raw in used:
        assert counts.use(raw, 1, NOW + 5) is Count.RISEN
    assert len(counts) == 3
    # The first was dropped: neither a replay nor its owner's next request passes. Both learn that it is stale.
    assert counts.use(used[0], 1, NOW + 5) is Count.FORGOTTEN
    assert counts.use(used[0], 2, NOW + 5) is Count.FORGOTTEN
    # So does a nonce of the same age that was not used yet; a later one is good.
    assert counts.use(nonce(NOW, b"another token"), 1, NOW + 5) is Count.FORGOTTEN
    assert counts.use(used[1], 1, NOW + 5) is Count.REPEATED
    assert counts.use(used[1], 2, NOW + 5) is Count.RISEN
    assert counts.use(nonce(NOW + 5), 1, NOW + 5) is Count.RISEN
    assert len(counts) == 3


def test_a_new_process_does_not_accept_what_an_earlier_one_may_have_seen() -> None:
    counts = NonceCounts(300.0, 10, NOW)
    assert counts.use(nonce(NOW), 1, NOW + 1) is Count.FORGOTTEN
    assert counts.use(nonce(NOW + 0.001), 1, NOW + 1) is Count.RISEN


def test_a_clock_that_is_set_back_shuts_nobody_out() -> None:
    counts = NonceCounts(300.0, 10, 0.0)
    used = nonce(NOW)
    counts.use(used, 1, NOW)
    ahead = NOW + 3600.0
    counts.use(nonce(ahead), 1, ahead)
    counts.expire(ahead + 301.0)
    assert len(counts) == 0
    # The clock is set right again 10 s later: the count of `used` is forgotten, so it must not pass again.
    assert counts.use(used, 1, NOW + 10) is Count.FORGOTTEN
    assert counts.use(nonce(NOW + 11), 1, NOW + 11) is Count.RISEN


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 3), st.integers(0, 60)), max_size=60), st.integers(1, 4))
def test_no_count_is_ever_accepted_twice(uses: list[tuple[int, int, int]], capacity: int) -> None:
    counts = NonceCounts(300.0, capacity, 0.0)
    issued = [NOW + number * 8 for number in range(9)]
    nonces = [nonce(moment) for moment in issued]
    accepted = set()
    now = NOW
    for which, count, later in uses:
        now += later
        # The authenticator lets through what is not too old, and a little of what seems to come from the future.
        if -EARLIEST <= now - issued[which] <= 300.0 and counts.use(nonces[which], count, now) is Count.RISEN:
            assert (which, count) not in accepted
            accepted.add((which, count))
        assert len(counts) <= capacity
