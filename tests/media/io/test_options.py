"""What transports are told by default, and that keys and passwords are not shown."""

from ringback.media.io.options import DEFAULT_SUITES, Remote, TransportOptions, TransportParameters
from ringback.media.io.path import ExactSource
from ringback.media.io.srtp import SUITES, SrtpKeys, make_key
from ringback.sdp.ice import IceParameters


def test_what_is_offered_by_default_can_be_made() -> None:
    assert set(DEFAULT_SUITES) <= set(SUITES)
    assert TransportOptions().suites == DEFAULT_SUITES
    assert TransportOptions().sources is ExactSource
    assert (TransportOptions().ice, TransportOptions().rtcp_mux) == ("none", "offer")


def test_secrets_are_not_shown() -> None:
    key = make_key(DEFAULT_SUITES[0])
    parameters = TransportParameters("192.0.2.1", 4000, 4001, True, ((DEFAULT_SUITES[0], key),))
    remote = Remote(
        "192.0.2.1", 4000, keys=SrtpKeys(DEFAULT_SUITES[0], key, key), ice=IceParameters("ufrag", "the password of ICE")
    )
    for shown in (repr(parameters), repr(remote)):
        assert str(key)[2:-1] not in shown
        assert "password of" not in shown


def test_what_the_far_end_does_not_say() -> None:
    remote = Remote("192.0.2.1", 4000)
    assert (remote.rtcp, remote.keys, remote.ice, remote.role, remote.fingerprints) == (None, None, None, "", ())
    assert not remote.rtcp_mux
    assert not remote.controlling
