"""A check that is cancelled is not repeated, and its answer is still known."""

from ringback.media.candidates import HOST, LocalCandidate
from ringback.media.checklist import Pair
from ringback.media.ice_events import Check
from ringback.media.stun import BINDING, REQUEST, encode_stun
from ringback.media.stun_request import StunRequest
from ringback.sdp.ice import Candidate


def test_cancelling() -> None:
    local = LocalCandidate(1, HOST, ("10.0.0.1", 1), ("10.0.0.1", 1), 5, "f")
    pair = Pair(local, Candidate("1", 1, "udp", 5, "10.0.0.2", 2, HOST), True)
    request = StunRequest(encode_stun(BINDING, REQUEST, b"transaction!"), 0)
    check = Check(pair, request, b"key", controlling=True, use=False, priority=7)
    assert request.due(0)
    assert not check.cancelled
    check.cancel()
    assert check.cancelled
    assert not request.due(1)
    assert request.failed
    assert request.transaction == b"transaction!"
