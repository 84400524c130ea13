"""Challenging, and judging answers."""

import re
from collections.abc import Callable

import pytest

from ringback.errors import ConfigurationError
from ringback.sip.digest import Credentials, parse_authentication_info, parse_challenge
from ringback.sip.digest_hash import AVAILABLE, ha1, request_digest
from ringback.sip.digest_server import Authenticator, Claim, Outcome, UserKeys, Verdict, may_challenge

SECRET = bytes(range(32))
TOKEN = b"0123456789ab"
NOW = 1_700_000_000.0
REALM = "example.org"
URI = "sip:bob@example.org"


def keys_of(user: str, *algorithms: str, minimum: str = "MD5") -> UserKeys:
    return UserKeys({name: ha1(user, REALM, "secret", name) for name in algorithms or AVAILABLE}, minimum)


USERS = {"alice": keys_of("alice"), "strict": keys_of("strict", minimum="SHA-256"), "old": keys_of("old", "MD5")}


def nonce_of(authenticator: Authenticator, now: float = NOW, token: bytes = TOKEN, peer: str = "") -> str:
    challenge = parse_challenge(authenticator.challenges(REALM, now, token, peer=peer)[0][1])
    assert challenge is not None
    return challenge.nonce


def answer(
    nonce: str,
    user: str = "alice",
    password: str = "secret",
    algorithm: str = "SHA-256",
    method: str = "INVITE",
    uri: str = URI,
    nc: str = "00000001",
    qop: str = "auth",
    body: bytes = b"",
) -> Credentials:
    response = request_digest(
        ha1(user, REALM, password, algorithm), algorithm, method, uri, nonce, nc, "cnonce", qop, body
    )
    if not qop:
        return Credentials(user, REALM, nonce, uri, response, algorithm)
    return Credentials(user, REALM, nonce, uri, response, algorithm, "cnonce", nc, qop)


def judge(
    authenticator: Authenticator,
    *values: Credentials | str,
    now: float = NOW,
    method: str = "INVITE",
    uri: str = URI,
    body: bytes = b"",
    peer: str = "",
    same_uri: Callable[[str, str], bool] | None = None,
) -> Verdict:
    written = [value if isinstance(value, str) else value.write() for value in values]
    if same_uri is None:
        return authenticator.verify(
            written, REALM, USERS.get, method=method, uri=uri, now=now, body=body, peer=peer
        )
    return authenticator.verify(
        written, REALM, USERS.get, method=method, uri=uri, now=now, body=body, peer=peer, same_uri=same_uri
    )


# Challenges -----------------------------------------------------------------------------------------------------------


def test_one_challenge_an_algorithm_strongest_first() -> None:
    fields = Authenticator(SECRET).challenges(REALM, NOW, TOKEN)
    assert [name for name, _ in fields] == ["WWW-Authenticate"] * len(AVAILABLE)
    found = [parse_challenge(value) for _, value in fields]
    assert [challenge and challenge.known for challenge in found] == list(AVAILABLE)
    assert [challenge and challenge.realm for challenge in found] == [REALM] * len(AVAILABLE)
    # "A UAS MUST always send a "qop" parameter" (RFC 8760 2.6).
    assert {challenge and challenge.qop for challenge in found} == {("auth",)}
    assert not any(challenge and challenge.stale for challenge in found)
    assert AVAILABLE[-1] == "MD5"


def test_a_proxy_challenges_with_its_own_header() -> None:
    fields = Authenticator(SECRET, algorithms=["SHA-256"], qop=["auth", "auth-int"]).challenges(
        REALM, NOW, TOKEN, stale=True, proxy=True
    )
    assert [name for name, _ in fields] == ["Proxy-Authenticate"]
    assert re.fullmatch(
        r'Digest realm="example\.org", nonce="[A-Za-z0-9+/=]+", algorithm=SHA-256, qop="auth,auth-int", stale=true',
        fields[0][1],
    )


def test_challenges_differ_by_time_token_and_realm_only() -> None:
    authenticator = Authenticator(SECRET)
    first = authenticator.challenges(REALM, NOW, TOKEN)
    assert authenticator.challenges(REALM, NOW, TOKEN) == first
    assert authenticator.challenges(REALM, NOW + 1, TOKEN) != first
    assert authenticator.challenges(REALM, NOW, b"another token") != first
    assert nonce_of(authenticator) not in authenticator.challenges("other.org", NOW, TOKEN)[0][1]


@pytest.mark.parametrize("realm", [REALM, "", 'a "quoted" one', "x, nonce=", 'nonce=""', "back\\slash", "caf\u00e9"])
@pytest.mark.parametrize("stale", [False, True])
def test_a_challenge_says_the_realm_whatever_it_is(realm: str, stale: bool) -> None:
    authenticator = Authenticator(SECRET)
    nonce = authenticator.nonce(realm, NOW, TOKEN)
    # The second time it comes from what the first has left, and other realms and flags leave it alone.
    for _ in range(2):
        fields = authenticator.challenges(realm, NOW, TOKEN, stale=stale)
        for (_, value), algorithm in zip(fields, AVAILABLE, strict=True):
            challenge = parse_challenge(value)
            assert challenge is not None
            assert (challenge.realm, challenge.nonce, challenge.stale) == (realm, nonce, stale)
            assert (challenge.algorithm, challenge.qop) == (algorithm, ("auth",))
        authenticator.challenges(realm, NOW, TOKEN, stale=not stale)
        for number in range(70):
            authenticator.challenges(f"{number}.org", NOW, TOKEN)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Authenticator(b"short"),
        lambda: Authenticator(SECRET, algorithms=[]),
        lambda: Authenticator(SECRET, algorithms=["MD5", "MD5"]),
        lambda: Authenticator(SECRET, algorithms=["SHA-1"]),
        lambda: Authenticator(SECRET, algorithms=["SHA-256-sess"]),
        lambda: Authenticator(SECRET, qop=[]),
        lambda: Authenticator(SECRET, qop=["auth-conf"]),
        lambda: Authenticator(SECRET, lifetime=0.0),
        lambda: Authenticator(SECRET, capacity=0),
        lambda: UserKeys({}, "SHA-1"),
    ],
)
def test_a_configuration_that_cannot_work(build: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError):
        build()


def test_ack_and_cancel_may_not_be_challenged() -> None:
    assert [method for method in ("INVITE", "ACK", "CANCEL", "BYE", "REGISTER") if not may_challenge(method)] == [
        "ACK",
        "CANCEL",
    ]


# Right answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", AVAILABLE)
def test_a_right_answer(algorithm: str) -> None:
    authenticator = Authenticator(SECRET)
    verdict = judge(authenticator, answer(nonce_of(authenticator), algorithm=algorithm))
    assert (verdict.outcome, verdict.user, verdict.ok, verdict.status()) == (Outcome.OK, "alice", True, 200)


def test_the_algorithm_is_md5_when_it_is_left_out() -> None:
    authenticator = Authenticator(SECRET)
    given = answer(nonce_of(authenticator), algorithm="MD5")
    given.algorithm = None
    assert judge(authenticator, given).ok


def test_a_right_answer_with_a_protected_body() -> None:
    authenticator = Authenticator(SECRET, qop=["auth", "auth-int"])
    given = answer(nonce_of(authenticator), qop="auth-int", body=b"v=0")
    assert judge(authenticator, given, body=b"v=1").outcome is Outcome.BAD_RESPONSE
    assert judge(authenticator, given, body=b"v=0").ok


def test_a_response_in_capitals_is_the_same() -> None:
    authenticator = Authenticator(SECRET)
    given = answer(nonce_of(authenticator))
    given.response = given.response.upper()
    assert judge(authenticator, given).ok


def test_a_key_that_is_kept_in_capitals_is_the_same() -> None:
    authenticator = Authenticator(SECRET)
    keys = UserKeys({"SHA-256": ha1("alice", REALM, "secret", "SHA-256").upper()})
    claim = authenticator.select([answer(nonce_of(authenticator)).write()], REALM)
    assert isinstance(claim, Claim)
    assert (claim.user, claim.token) == ("alice", TOKEN)
    assert authenticator.check(claim, keys, method="INVITE", uri=URI, now=NOW).ok


def test_our_value_is_found_among_others() -> None:
    authenticator = Authenticator(SECRET)
    other = Credentials("alice", "other.org", "n", URI, "00").write()
    assert judge(authenticator, "Basic YTpi", other, "Digest broken", answer(nonce_of(authenticator))).ok


def test_the_second_value_for_our_realm_counts_when_the_first_cannot_be_judged() -> None:
    # RFC 3261 22.3: "a UAC MAY therefore supply multiple credentials ... with the same "realm" parameter value".
    authenticator = Authenticator(SECRET)
    assert judge(authenticator, answer("bm90IG91cnM="), answer(nonce_of(authenticator))).ok


def test_only_16_values_are_looked_at() -> None:
    authenticator = Authenticator(SECRET)
    good = answer(nonce_of(authenticator)).write()
    assert judge(authenticator, *["Basic YTpi"] * 16, good).outcome is Outcome.MISSING
    assert judge(authenticator, *["Basic YTpi"] * 15, good).ok


# Wrong answers --------------------------------------------------------------------------------------------------------


def test_no_credentials() -> None:
    authenticator = Authenticator(SECRET)
    for values in ([], ["Basic YTpi"], ["Bearer abc"]):
        verdict = judge(authenticator, *values)
        assert (verdict.outcome, verdict.status(), verdict.status(proxy=True)) == (Outcome.MISSING, 401, 407)
    empty = Credentials("alice", REALM, "", URI, "")
    assert judge(authenticator, empty).outcome is Outcome.MISSING


def test_malformed_credentials() -> None:
    verdict = judge(Authenticator(SECRET), 'Digest username="a", username="b"')
    assert (verdict.outcome, verdict.status(), verdict.reason) == (
        Outcome.MALFORMED, 400, "parameter 'username' stands twice",
    )  # fmt: skip


def test_credentials_for_another_realm_only() -> None:
    verdict = judge(Authenticator(SECRET), Credentials("alice", "other.org", "n", URI, "00"))
    assert (verdict.outcome, verdict.status()) == (Outcome.WRONG_REALM, 401)
    assert "'other.org'" in verdict.reason
    # What cannot be read may have been for ours.
    other = Credentials("alice", "other.org", "n", URI, "00")
    assert judge(Authenticator(SECRET), "Digest broken", other).outcome is Outcome.MALFORMED
    assert judge(Authenticator(SECRET), other, "Digest broken").outcome is Outcome.MALFORMED


FIELDS: list[tuple[str, Callable[[Credentials], None]]] = []


def tampering(change: Callable[[Credentials], None]) -> Callable[[Credentials], None]:
    FIELDS.append((change.__name__, change))
    return change


@tampering
def username(given: Credentials) -> None:
    given.username = "old"


@tampering
def uri(given: Credentials) -> None:
    given.uri = "sip:mallory@example.org"


@tampering
def response(given: Credentials) -> None:
    given.response = given.response[:-1] + ("0" if given.response[-1] != "0" else "1")


@tampering
def shorter_response(given: Credentials) -> None:
    given.response = given.response[:-1]


@tampering
def algorithm(given: Credentials) -> None:
    given.algorithm = "MD5"


@tampering
def cnonce(given: Credentials) -> None:
    given.cnonce = "other"


@tampering
def nc(given: Credentials) -> None:
    given.nc = "00000002"


@tampering
def qop(given: Credentials) -> None:
    given.qop = "auth-int"


@tampering
def other_nonce_of_ours(given: Credentials) -> None:
    given.nonce = nonce_of(Authenticator(SECRET), NOW, b"another token")


@pytest.mark.parametrize("change", [change for _, change in FIELDS], ids=[name for name, _ in FIELDS])
def test_no_field_can_be_tampered_with(change: Callable[[Credentials], None]) -> None:
    authenticator = Authenticator(SECRET, qop=["auth", "auth-int"])
    given = answer(nonce_of(authenticator))
    change(given)
    verdict = judge(authenticator, given)
    assert (verdict.outcome, verdict.status(), verdict.stale) == (Outcome.BAD_RESPONSE, 401, False)
    # None of that used the nonce up.
    assert judge(authenticator, answer(nonce_of(authenticator))).ok


def test_an_answer_is_good_for_its_method_only() -> None:
    authenticator = Authenticator(SECRET)
    given = answer(nonce_of(authenticator), method="OPTIONS")
    assert judge(authenticator, given, method="INVITE").outcome is Outcome.BAD_RESPONSE
    assert judge(authenticator, given, method="OPTIONS").ok


@pytest.mark.parametrize("nonce", ["bm90IG91cnM=", "x", "A" * 44, 'a"b', "\udcff"])
def test_a_forged_nonce(nonce: str) -> None:
    verdict = judge(Authenticator(SECRET), answer(nonce))
    assert (verdict.outcome, verdict.status(), verdict.stale) == (Outcome.FORGED_NONCE, 401, False)


def test_a_nonce_of_another_realm_secret_or_peer_is_forged() -> None:
    ours, theirs = Authenticator(SECRET), Authenticator(SECRET[::-1])
    assert judge(ours, answer(nonce_of(theirs))).outcome is Outcome.FORGED_NONCE
    other_realm = parse_challenge(ours.challenges("other.org", NOW, TOKEN)[0][1])
    assert other_realm is not None
    assert judge(ours, answer(other_realm.nonce)).outcome is Outcome.FORGED_NONCE
    bound = nonce_of(ours, peer="192.0.2.1")
    assert judge(ours, answer(bound), peer="192.0.2.2").outcome is Outcome.FORGED_NONCE
    assert judge(ours, answer(bound), peer="192.0.2.1").ok


# Replays and age ------------------------------------------------------------------------------------------------------


def test_a_replay_is_refused() -> None:
    authenticator = Authenticator(SECRET)
    given = answer(nonce_of(authenticator))
    assert judge(authenticator, given).ok
    verdict = judge(authenticator, given)
    assert (verdict.outcome, verdict.status(), verdict.stale) == (Outcome.REPLAYED, 401, False)


def test_counts_have_to_rise_and_may_leap() -> None:
    authenticator = Authenticator(SECRET)
    nonce = nonce_of(authenticator)
    counts = ["00000001", "00000002", "0000000A", "00000003", "0000000a", "0000000b", "ffffffff", "ffffffff"]
    outcomes = [judge(authenticator, answer(nonce, nc=count)).outcome for count in counts]
    ok, replayed = Outcome.OK, Outcome.REPLAYED
    assert outcomes == [ok, ok, ok, replayed, replayed, ok, ok, replayed]


def test_a_wrong_answer_does_not_use_up_a_count() -> None:
    authenticator = Authenticator(SECRET)
    nonce = nonce_of(authenticator)
    assert judge(authenticator, answer(nonce, password="guess", nc="ffffffff")).outcome is Outcome.BAD_RESPONSE
    assert judge(authenticator, answer(nonce)).ok


@pytest.mark.parametrize(
    ("age", "outcome"),
    [
        (0.0, Outcome.OK),
        (300.0, Outcome.OK),
        (300.001, Outcome.STALE),
        (1e6, Outcome.STALE),
        # From the future: servers' clocks differ, or the clock was set back.
        (-10.0, Outcome.OK),
        (-10.001, Outcome.STALE),
        (-6.3e7, Outcome.STALE),
    ],
)
def test_the_age_of_a_nonce(age: float, outcome: Outcome) -> None:
    authenticator = Authenticator(SECRET)
    verdict = judge(authenticator, answer(nonce_of(authenticator)), now=NOW + age)
    assert (verdict.outcome, verdict.stale) == (outcome, outcome is Outcome.STALE)
    assert verdict.status() == (200 if outcome is Outcome.OK else 401)


def test_stale_is_only_said_to_who_knows_the_password() -> None:
    authenticator = Authenticator(SECRET)
    old = nonce_of(authenticator)
    for given in (answer(old, password="guess"), answer(old, user="nobody")):
        assert judge(authenticator, given, now=NOW + 301).stale is False


def test_a_used_nonce_is_stale_after_its_life_and_not_replayed() -> None:
    authenticator = Authenticator(SECRET, lifetime=60.0)
    given = answer(nonce_of(authenticator))
    assert judge(authenticator, given, now=NOW + 60).ok
    assert judge(authenticator, given, now=NOW + 60).outcome is Outcome.REPLAYED
    authenticator.expire(NOW + 61)
    assert judge(authenticator, given, now=NOW + 61).outcome is Outcome.STALE


def test_a_restart_forgets_no_replay() -> None:
    given = answer(nonce_of(Authenticator(SECRET)))
    assert judge(Authenticator(SECRET), given, now=NOW + 2).ok
    verdict = judge(Authenticator(SECRET, started=NOW + 1), given, now=NOW + 2)
    assert (verdict.outcome, verdict.stale) == (Outcome.STALE, True)


def test_a_full_table_lets_no_replay_through() -> None:
    authenticator = Authenticator(SECRET, capacity=2)
    given = [answer(nonce_of(authenticator, NOW + number)) for number in range(3)]
    assert [judge(authenticator, value, now=NOW + 3).outcome for value in given] == [Outcome.OK] * 3
    assert [judge(authenticator, value, now=NOW + 3).outcome for value in given] == [
        Outcome.STALE, Outcome.REPLAYED, Outcome.REPLAYED,
    ]  # fmt: skip


# Policy ---------------------------------------------------------------------------------------------------------------


def test_an_answer_for_another_uri() -> None:
    authenticator = Authenticator(SECRET)
    given = answer(nonce_of(authenticator), uri="sip:cheap@example.org")
    asked: list[tuple[str, str]] = []

    def differ(ours: str, theirs: str) -> bool:
        asked.append((ours, theirs))
        return False

    verdict = judge(authenticator, given, uri="sip:premium@example.org", same_uri=differ)
    assert (verdict.outcome, verdict.status(), verdict.stale) == (Outcome.URI_MISMATCH, 403, False)
    assert asked == [("sip:premium@example.org", "sip:cheap@example.org")]
    assert judge(authenticator, given, uri="sip:premium@example.org").outcome is Outcome.URI_MISMATCH


def test_another_uri_that_the_caller_holds_for_the_same() -> None:
    authenticator = Authenticator(SECRET)
    given = answer(nonce_of(authenticator), uri="sip:bob@EXAMPLE.org")
    assert judge(authenticator, given, same_uri=lambda ours, theirs: ours.lower() == theirs.lower()).ok


def test_the_comparison_is_not_asked_about_equal_texts() -> None:
    authenticator = Authenticator(SECRET)

    def never(ours: str, theirs: str) -> bool:
        raise AssertionError(ours + theirs)

    assert judge(authenticator, answer(nonce_of(authenticator)), same_uri=never).ok


def test_the_users_minimum() -> None:
    authenticator = Authenticator(SECRET)
    nonce = nonce_of(authenticator)
    verdict = judge(authenticator, answer(nonce, user="strict", algorithm="MD5"))
    assert (verdict.outcome, verdict.status()) == (Outcome.WEAK_ALGORITHM, 403)
    assert judge(authenticator, answer(nonce, user="strict", algorithm="SHA-256")).ok
    # A guess learns nothing of it.
    guess = answer(nonce, user="strict", algorithm="MD5", password="guess")
    assert judge(authenticator, guess).outcome is Outcome.BAD_RESPONSE


def test_a_user_without_a_key_for_the_algorithm() -> None:
    authenticator = Authenticator(SECRET)
    verdict = judge(authenticator, answer(nonce_of(authenticator), user="old", algorithm="SHA-256"))
    assert (verdict.outcome, verdict.status()) == (Outcome.BAD_RESPONSE, 401)
    assert "SHA-256" in verdict.reason


@pytest.mark.parametrize("name", ["MD5", "SHA-256-sess", "AKAv1-MD5"])
def test_an_algorithm_that_was_not_offered(name: str) -> None:
    authenticator = Authenticator(SECRET, algorithms=["SHA-256"])
    given = answer(nonce_of(authenticator))
    given.algorithm = name
    verdict = judge(authenticator, given)
    assert (verdict.outcome, verdict.status()) == (Outcome.WEAK_ALGORITHM, 403)
    assert name in verdict.reason


def test_qop_cannot_be_stripped() -> None:
    authenticator = Authenticator(SECRET)
    verdict = judge(authenticator, answer(nonce_of(authenticator), qop=""))
    assert (verdict.outcome, verdict.status()) == (Outcome.NO_QOP, 403)


def test_without_qop_a_nonce_is_good_once() -> None:
    authenticator = Authenticator(SECRET, legacy=True)
    given = answer(nonce_of(authenticator), qop="")
    assert judge(authenticator, given).ok
    verdict = judge(authenticator, given)
    assert (verdict.outcome, verdict.stale) == (Outcome.STALE, True)
    # Nor after it was used with qop.
    nonce = nonce_of(authenticator, token=b"another token")
    assert judge(authenticator, answer(nonce)).ok
    assert judge(authenticator, answer(nonce, qop="")).outcome is Outcome.STALE


def test_what_was_not_offered_is_malformed() -> None:
    authenticator = Authenticator(SECRET)
    assert judge(authenticator, answer(nonce_of(authenticator), qop="auth-int")).outcome is Outcome.MALFORMED
    hashed = answer(nonce_of(authenticator))
    hashed.userhash = True
    assert judge(authenticator, hashed).outcome is Outcome.MALFORMED


# Known and unknown users ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["secret", "guess", ""])
@pytest.mark.parametrize("name", AVAILABLE)
def test_an_unknown_user_gets_what_a_wrong_password_gets(name: str, password: str) -> None:
    authenticator = Authenticator(SECRET)
    nonce = nonce_of(authenticator)
    unknown = judge(authenticator, answer(nonce, user="nobody", password=password, algorithm=name))
    wrong = judge(authenticator, answer(nonce, user="alice", password=password + "x", algorithm=name))
    assert unknown.outcome is Outcome.UNKNOWN_USER
    assert wrong.outcome is Outcome.BAD_RESPONSE
    on_the_wire = [
        (verdict.status(proxy), verdict.stale, authenticator.challenges(REALM, NOW, TOKEN, stale=verdict.stale))
        for verdict in (unknown, wrong)
        for proxy in (False, True)
    ]
    assert on_the_wire[:2] == on_the_wire[2:]


def test_an_unknown_user_costs_the_same_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    from ringback.sip import digest_server

    if not digest_server.__file__.endswith(".py"):
        pytest.skip("compiled modules call each other directly")
    calls: list[tuple[int, str, bool]] = []
    real = digest_server.request_digest

    def counted(key: str, *rest: object) -> str:
        calls.append((len(key), str(rest[0]), key.isalnum()))
        return real(key, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(digest_server, "request_digest", counted)
    authenticator = Authenticator(SECRET)
    for name in AVAILABLE:
        for user in ("alice", "nobody"):
            judge(authenticator, answer(nonce_of(authenticator), user=user, password="guess", algorithm=name))
        # One hash each, with keys of the same length.
        assert calls[-2] == calls[-1]
    assert len(calls) == 2 * len(AVAILABLE)


def test_the_key_of_an_unknown_user_cannot_be_answered_with() -> None:
    authenticator = Authenticator(SECRET)
    given = answer(nonce_of(authenticator), user="nobody")
    fake = authenticator._fake_key(given)
    assert fake == Authenticator(SECRET)._fake_key(given) != Authenticator(SECRET[::-1])._fake_key(given)
    # Even who had that key would not get in.
    given.response = request_digest(fake, "SHA-256", "INVITE", URI, given.nonce, given.nc, "cnonce", "auth", b"")
    assert judge(authenticator, given).outcome is Outcome.UNKNOWN_USER


# Authentication-Info --------------------------------------------------------------------------------------------------


def test_the_server_proves_itself() -> None:
    authenticator = Authenticator(SECRET, qop=["auth-int"])
    given = answer(nonce_of(authenticator), qop="auth-int", body=b"offer")
    claim = authenticator.select([given.write()], REALM)
    assert isinstance(claim, Claim)
    nonce = authenticator.nonce(REALM, NOW + 1, TOKEN)
    info = parse_authentication_info(authenticator.confirm(claim, USERS["alice"], body=b"answer", next_nonce=nonce))
    key = ha1("alice", REALM, "secret", "SHA-256")
    assert info.rspauth == request_digest(
        key, "SHA-256", "", URI, given.nonce, "00000001", "cnonce", "auth-int", b"answer"
    )
    assert (info.qop, info.nc, info.cnonce, info.nextnonce) == ("auth-int", "00000001", "cnonce", nonce)
    assert judge(authenticator, answer(nonce, qop="auth-int"), now=NOW + 1).ok


def test_without_qop_there_is_only_a_next_nonce_to_tell() -> None:
    authenticator = Authenticator(SECRET, legacy=True)
    claim = authenticator.select([answer(nonce_of(authenticator), qop="").write()], REALM)
    assert isinstance(claim, Claim)
    assert authenticator.confirm(claim, USERS["alice"], next_nonce="abc") == 'nextnonce="abc"'
    assert authenticator.confirm(claim, USERS["alice"]) == ""


def test_no_secret_is_shown() -> None:
    authenticator = Authenticator(SECRET)
    verdict = judge(authenticator, answer(nonce_of(authenticator), user="ali\r\nce".replace("\r\n", "\t")))
    shown = repr(verdict)
    assert "Verdict(UNKNOWN_USER, 'ali\\tce'" in shown
    assert "secret" not in shown
