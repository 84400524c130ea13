from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sdp.description import Attribute, MediaDescription, Origin, SessionDescription
from ringback.sdp.errors import SdpError
from ringback.sdp.ice import Candidate, IceParameters, RemoteCandidate, destination_matches, read_ice, same_address

UFRAG, PASSWORD = "8hhY", "asd88fgpdd777uzjYhagZg"
HOST = Candidate("1", 1, "udp", 2130706431, "192.0.2.1", 4000, "host")


def media(*attributes: str) -> MediaDescription:
    found = MediaDescription("audio", 4000, "RTP/AVP", ["0"])
    for attribute in attributes:
        name, colon, value = attribute.partition(":")
        found.attributes.append(Attribute(name, value if colon else None))
    return found


def session(*attributes: str) -> SessionDescription:
    return SessionDescription(Origin("-", 1, 1, "192.0.2.1"), attributes=media(*attributes).attributes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 1 UDP 2130706431 192.0.2.1 4000 typ host", HOST),
        (
            "2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
            Candidate("2", 1, "udp", 1694498815, "192.0.2.3", 45664, "srflx", "203.0.113.141", 8998),
        ),
        (
            "842163049 2 tcp 1518280447 2001:db8::1 9 typ host tcptype active generation 0 ufrag 4Zcd network-cost 999",
            Candidate(
                *("842163049", 2, "tcp", 1518280447, "2001:db8::1", 9, "host"),
                extensions=(("tcptype", "active"), ("generation", "0"), ("ufrag", "4Zcd"), ("network-cost", "999")),
            ),
        ),
        (
            "0 1 UDP 2122252543 5a1b9d9e.local 54077 typ host generation",
            Candidate("0", 1, "udp", 2122252543, "5a1b9d9e.local", 54077, "host", extensions=(("generation", ""),)),
        ),
    ],
)
def test_candidates_are_read(text: str, expected: Candidate) -> None:
    assert Candidate.parse(text) == expected
    assert Candidate.parse(str(expected)) == expected
    assert expected.is_name == expected.address.endswith(".local")


def test_a_related_port_alone_says_nothing() -> None:
    assert Candidate.parse(f"{HOST} rport 5") == HOST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 1 UDP 1 192.0.2.1 4000 typ",
        "1 1 UDP 1 192.0.2.1 4000 type host",
        "1 0 UDP 1 192.0.2.1 4000 typ host",
        "1 257 UDP 1 192.0.2.1 4000 typ host",
        "1 x UDP 1 192.0.2.1 4000 typ host",
        "1 1 UDP 4294967296 192.0.2.1 4000 typ host",
        "1 1 UDP 1 192.0.2.1 65536 typ host",
        "1 1 UDP 1 192.0.2.1 4000 typ srflx raddr 192.0.2.2 rport x",
        "a" * 33 + " 1 UDP 1 192.0.2.1 4000 typ host",
    ],
)
def test_candidates_that_are_none(text: str) -> None:
    with pytest.raises(SdpError):
        Candidate.parse(text)


def test_what_is_written_is_read_again() -> None:
    ours = IceParameters(
        *(UFRAG, PASSWORD, (HOST,), True, ("ice2", "trickle"), True),
        (RemoteCandidate(1, "192.0.2.9", 5000), RemoteCandidate(2, "192.0.2.9", 5001)),
    )
    part = media()
    ours.write(part)
    assert read_ice(part, session("ice-lite")) == ours
    assert part.value("remote-candidates") == "1 192.0.2.9 5000 2 192.0.2.9 5001"
    plain = media()
    IceParameters(UFRAG, PASSWORD, options=()).write(plain)
    assert [attribute.name for attribute in plain.attributes] == ["ice-ufrag", "ice-pwd"]


def test_session_attributes_are_defaults() -> None:
    whole = session(f"ice-ufrag:{UFRAG}", f"ice-pwd:{PASSWORD}", "ice-options:ice2 rtp+ecn", "ice-lite")
    assert read_ice(media(), whole) == IceParameters(UFRAG, PASSWORD, (), True, ("ice2", "rtp+ecn"))
    own = read_ice(media("ice-ufrag:abcd", f"ice-pwd:{PASSWORD}x"), whole)
    assert own is not None and (own.ufrag, own.password) == ("abcd", PASSWORD + "x")


def test_a_bundled_part_has_what_its_tagged_part_has() -> None:
    tagged = media(f"ice-ufrag:{UFRAG}", f"ice-pwd:{PASSWORD}", f"candidate:{HOST}")
    assert read_ice(media(), session(), tagged) == IceParameters(UFRAG, PASSWORD, (HOST,), options=())
    assert read_ice(media(), session()) is None


@pytest.mark.parametrize(
    "attributes",
    [
        (),
        (f"ice-ufrag:{UFRAG}",),
        (f"ice-pwd:{PASSWORD}",),
        ("ice-ufrag:abc", f"ice-pwd:{PASSWORD}"),
        (f"ice-ufrag:{UFRAG}", "ice-pwd:" + "x" * 21),
        (f"ice-ufrag:{UFRAG}", "ice-pwd:" + "x" * 257),
        ("ice-ufrag:" + "x" * 257, f"ice-pwd:{PASSWORD}"),
        ("ice-ufrag", "ice-pwd"),
        (f"ice-ufrag:{UFRAG}", f"ice-pwd:{PASSWORD}", "ice-mismatch"),
    ],
)
def test_no_ice(attributes: tuple[str, ...]) -> None:
    assert read_ice(media(*attributes), session()) is None


def test_unreadable_and_too_many_candidates_are_left_out() -> None:
    part = media(f"ice-ufrag:{UFRAG}", f"ice-pwd:{PASSWORD}", "candidate:x", *[f"candidate:{HOST}"] * 200)
    part.add("remote-candidates", "1 192.0.2.1")
    found = read_ice(part, session())
    assert found is not None and found.candidates == (HOST,) * 99 and found.remote_candidates == ()


NAMED = Candidate("1", 1, "udp", 1, "x.local", 9, "host")
RELAYED = Candidate("2", 1, "udp", 1, "2001:DB8:0::1", 6000, "relay")
RTCP_ONLY = Candidate("1", 2, "udp", 1, "192.0.2.7", 7000, "host")


@pytest.mark.parametrize(
    ("candidates", "address", "port", "expected"),
    [
        ((HOST,), "192.0.2.1", 4000, True),
        ((HOST, RELAYED), "2001:db8::1", 6000, True),
        ((HOST,), "192.0.2.1", 4002, False),
        ((HOST,), "198.51.100.1", 4000, False),
        ((RTCP_ONLY,), "192.0.2.7", 7000, False),
        # Candidates still to come, no default destination yet, names: RFC 8839 4.2.5.
        ((), "198.51.100.1", 4000, True),
        ((HOST,), "0.0.0.0", 9, True),
        ((HOST,), "::", 9, True),
        ((HOST,), "host.example.com", 4000, True),
        ((NAMED,), "198.51.100.1", 4000, True),
        ((NAMED, HOST), "198.51.100.1", 4000, False),
    ],
)
def test_something_on_the_way_that_knows_no_ice_is_found(
    candidates: tuple[Candidate, ...], address: str, port: int, expected: bool
) -> None:
    assert destination_matches(IceParameters(UFRAG, PASSWORD, candidates), address, port) is expected


def test_addresses_in_other_spellings() -> None:
    assert same_address("2001:db8::1", "2001:DB8:0:0::0001")
    assert same_address("host", "host")
    assert not same_address("192.0.2.1", "192.0.2.2")
    assert not same_address("host", "other")


def test_passwords_are_not_shown_by_accident() -> None:
    assert PASSWORD not in repr(IceParameters(UFRAG, PASSWORD))


@given(st.text(max_size=60))
def test_random_text_raises_nothing_but_sdp_errors(text: str) -> None:
    for value in (text, f"1 1 udp 1 192.0.2.1 4000 typ host {text}"):
        try:
            found = Candidate.parse(value)
        except SdpError:
            continue
        assert Candidate.parse(str(found)) == found
    read_ice(media(f"ice-ufrag:{text}", f"ice-pwd:{text * 3}", f"remote-candidates:{text}"), session())
