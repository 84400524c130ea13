from __future__ import annotations

import copy
import pickle

from ringback.sdp.errors import SdpError


def test_an_error_says_what_to_answer() -> None:
    error = SdpError('no "audio" \\ here\r\nX: y' + "x" * 200, 488, 305)
    assert (error.status, error.code) == (488, 305)
    assert error.warning.startswith("305 ringback \"no 'audio'  here??X: yxxx") and len(error.warning) == 135
    assert SdpError("broken").warning == '399 ringback "broken"'
    assert (SdpError("broken").status, str(SdpError("broken"))) == (400, "broken")


def test_an_error_is_the_same_after_a_journey_to_another_process() -> None:
    error = SdpError("nothing fits", 488, 304)
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (other.reason, other.status, other.code) == ("nothing fits", 488, 304)
