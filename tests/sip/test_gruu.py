"""Public and temporary GRUUs (RFC 5627)."""

import base64

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ringback.errors import ParseError
from ringback.sip.gruu import (
    Gruus,
    canonical_instance,
    escape_instance,
    instance_of,
    is_gruu,
    public_gruu,
    same_instance,
)
from ringback.sip.uri import Uri, parse_uri

SECRET = bytes(range(32))
GRUUS = Gruus(SECRET)
CALLEE = parse_uri("sip:callee@example.com")
INSTANCE = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
OTHER = "urn:uuid:00000000-0000-1000-8000-aabbccddeeff"


def temporary(aor: Uri = CALLEE, instance: str = INSTANCE, epoch: int = 7, registration: str = "1 call") -> Uri:
    return parse_uri(GRUUS.temporary(aor, instance, epoch, registration))


# public ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aor", "instance", "gruu"),
    [
        ("sip:callee@example.com", INSTANCE, f"sip:callee@example.com;gr={INSTANCE}"),
        ("sips:callee@example.com", INSTANCE, f"sips:callee@example.com;gr={INSTANCE}"),
        ("sip:callee@example.com:5080", INSTANCE, f"sip:callee@example.com:5080;gr={INSTANCE}"),
        ("sip:a%20b@[2001:db8::1]", "urn:x:1", "sip:a%20b@[2001:db8::1];gr=urn:x:1"),
        (
            "sip:callee@example.com",
            "urn:x:a=b;c?d,e@f%41",
            "sip:callee@example.com;gr=urn:x:a%3Db%3Bc%3Fd%2Ce%40f%2541",
        ),
    ],
)
def test_a_public_gruu_is_the_address_of_record_with_the_instance(aor: str, instance: str, gruu: str) -> None:
    assert public_gruu(parse_uri(aor), instance) == gruu
    resolved = GRUUS.resolve(parse_uri(gruu))
    assert resolved is not None
    assert (resolved.aor, resolved.instance, resolved.mark) == (parse_uri(aor).aor(), instance, b"")


def test_a_public_gruu_is_equivalent_to_its_address_of_record() -> None:
    """5.4: "A public GRUU will always be equivalent to the AOR based on URI equality rules"."""
    assert parse_uri(public_gruu(CALLEE, INSTANCE)).equivalent(CALLEE)


@pytest.mark.parametrize(
    ("instance", "epoch", "selected"),
    [(INSTANCE, 1, True), (INSTANCE.upper(), 9, True), (OTHER, 1, False), ("", 0, False)],
)
def test_a_public_gruu_selects_by_instance_alone(instance: str, epoch: int, selected: bool) -> None:
    gruu = GRUUS.resolve(parse_uri(public_gruu(CALLEE, INSTANCE)))
    assert gruu is not None
    assert GRUUS.selects(gruu, instance, epoch) is selected


# temporary ------------------------------------------------------------------------------------------------------------


def test_a_temporary_gruu_looks_as_the_rfc_shows_it() -> None:
    uri = temporary()
    assert uri.text.startswith("sip:tgruu.")
    assert uri.text.endswith("@example.com;gr")
    assert len(uri.user) == 106
    assert uri.parameters == {"gr": None}
    assert is_gruu(uri)
    assert not is_gruu(CALLEE)


@pytest.mark.parametrize(
    "aor",
    ["sip:callee@example.com", "sips:c@example.com", "sip:%C3%BC%20x@[2001:db8::1]:5070", "sip:x@192.0.2.1:5080"],
)
def test_a_temporary_gruu_gives_its_address_of_record_back(aor: str) -> None:
    uri = parse_uri(aor)
    gruu = GRUUS.resolve(temporary(uri))
    assert gruu is not None
    assert (gruu.aor, gruu.instance) == (uri.aor(), "")
    assert GRUUS.selects(gruu, INSTANCE, 7)


@pytest.mark.parametrize(
    ("instance", "epoch", "selected"),
    [(INSTANCE, 7, True), (INSTANCE.upper(), 7, True), (INSTANCE, 8, False), (OTHER, 7, False), ("", 7, False)],
)
def test_a_temporary_gruu_selects_by_instance_and_epoch(instance: str, epoch: int, selected: bool) -> None:
    gruu = GRUUS.resolve(temporary())
    assert gruu is not None
    assert GRUUS.selects(gruu, instance, epoch) is selected


def test_each_registration_has_another_temporary_gruu_and_all_of_an_epoch_are_valid() -> None:
    uris = [temporary(registration=f"{cseq} call") for cseq in range(50)]
    assert len({uri.user for uri in uris}) == 50
    for uri in uris:
        gruu = GRUUS.resolve(uri)
        assert gruu is not None
        assert GRUUS.selects(gruu, INSTANCE, 7)


def test_the_same_registration_has_the_same_temporary_gruu() -> None:
    """5.2: "the most recently created temporary GRUU" is computed anew when another instance registers."""
    assert temporary().text == temporary().text


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=43), st.integers(0, 2**53), st.text(max_size=40))
def test_all_temporary_gruus_have_one_length(user: str, epoch: int, registration: str) -> None:
    """5.1: nobody can tell "whether they were issued for the same AOR or instance ID", by their length either."""
    uri = temporary(parse_uri(f"sip:{user}@example.com"), INSTANCE, epoch, registration)
    assert len(uri.user) == 106
    gruu = GRUUS.resolve(uri)
    assert gruu is not None
    assert gruu.aor == f"{user}@example.com"


def test_temporary_gruus_of_one_instance_have_no_more_in_common_than_those_of_two() -> None:
    def common(one: Uri, other: Uri) -> int:
        return sum(a == b for a, b in zip(one.user[6:], other.user[6:], strict=True))

    same = [common(temporary(registration=f"{n}"), temporary(registration=f"{n + 1000}")) for n in range(200)]
    alice = parse_uri("sip:alice@example.com")
    different = [common(temporary(registration=f"{n}"), temporary(alice, OTHER, 3, f"{n}")) for n in range(200)]
    # Two random texts of 100 out of 64 characters agree in 1.56 places; the mean of 200 pairs strays by 0.09.
    assert 1.0 < sum(same) / 200 < 2.1
    assert 1.0 < sum(different) / 200 < 2.1


@pytest.mark.parametrize("user", ["u" * 44, "%C3%BC" * 22, "nul%00nul"])
def test_a_user_that_cannot_be_hidden_gets_no_temporary_gruu(user: str) -> None:
    assert GRUUS.temporary(parse_uri(f"sip:{user}@example.com"), INSTANCE, 7, "1") == ""


def test_a_domain_without_user_gets_no_temporary_gruu() -> None:
    assert GRUUS.temporary(parse_uri("sip:example.com"), INSTANCE, 7, "1") == ""


@given(st.integers(6, 105), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
def test_a_temporary_gruu_that_was_changed_is_none(position: int, character: str) -> None:
    uri = temporary()
    assume(character != uri.user[position])
    forged = uri.user[:position] + character + uri.user[position + 1 :]
    assert GRUUS.resolve(parse_uri(f"sip:{forged}@example.com;gr")) is None


@pytest.mark.parametrize(
    "text",
    [
        "sip:callee@example.com",
        "sip:callee@example.com;gr",
        "sip:example.com;gr=urn:x:1",
        "tel:+1;gr=urn:x:1",
        "sip:tgruu.@example.com;gr",
        "sip:tgruu." + "A" * 100 + "@example.com;gr",
        "sip:tgruu." + "A" * 99 + "@example.com;gr",
        "sip:tgruu." + "!" * 100 + "@example.com;gr",
        "sip:tgruu." + "ü" * 100 + "@example.com;gr",
        "sip:tgruu." + "=" * 100 + "@example.com;gr",
    ],
)
def test_what_was_not_made_here_is_no_gruu(text: str) -> None:
    assert GRUUS.resolve(parse_uri(text)) is None


def test_a_temporary_gruu_is_bound_to_its_domain_and_secret() -> None:
    uri = temporary()
    assert GRUUS.resolve(parse_uri(f"sip:{uri.user}@example.org;gr")) is None
    assert GRUUS.resolve(parse_uri(f"sip:{uri.user}@EXAMPLE.com.;gr")) is not None
    assert Gruus(bytes(32)).resolve(uri) is None


def test_a_temporary_gruu_does_not_show_user_or_instance() -> None:
    octets = base64.urlsafe_b64decode(temporary().user[6:])
    assert len(octets) == 75
    assert b"callee" not in octets


# instances ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "instance"),
    [
        (f'"<{INSTANCE}>"', INSTANCE),
        (f'"{INSTANCE}"', INSTANCE),
        (f"<{INSTANCE}>", INSTANCE),
        ('"<urn:x:a;b?c%20d>"', "urn:x:a;b?c%20d"),
        (None, ""),
    ],
)
def test_an_instance_is_read_from_its_parameter(value: str | None, instance: str) -> None:
    assert instance_of(value) == instance


@pytest.mark.parametrize("value", ['""', '"<>"', '"<a b>"', '"<a\\"b>"', '"<a<b>"', '"<ü>"', f'"<{"x" * 257}>"'])
def test_what_is_no_uric_is_no_instance(value: str) -> None:
    with pytest.raises(ParseError):
        instance_of(value)


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        (INSTANCE, INSTANCE, True),
        (INSTANCE, INSTANCE.upper(), True),
        ("URN:UUID:AA", "urn:uuid:aa", True),
        ("urn:imei:aa", "urn:imei:AA", False),
        (INSTANCE, OTHER, False),
        ("", INSTANCE, False),
    ],
)
def test_instances_are_compared_as_their_urns_are(ours: str, theirs: str, same: bool) -> None:
    assert same_instance(ours, theirs) is same
    assert (canonical_instance(ours) == canonical_instance(theirs)) is same


@given(st.text("abcXYZ09;/?:@&=+$,-_.!~*'()%[]", min_size=1, max_size=60))
def test_an_escaped_instance_stands_in_a_uri_and_comes_back(instance: str) -> None:
    uri = parse_uri(f"sip:a@example.com;gr={escape_instance(instance)}")
    gruu = GRUUS.resolve(uri)
    assert gruu is not None
    assert gruu.instance == instance
