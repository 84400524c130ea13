"""Answering challenges: by hand-made ones, and against our own server."""

import pytest

from ringback.errors import LocalError, ParseError
from ringback.sip.digest import AuthenticationInfo, Challenge, Credentials, parse_credentials
from ringback.sip.digest_client import ANY_HOST, Answer, DigestClient, Login, Proof
from ringback.sip.digest_hash import AVAILABLE, ha1, hashed_username, request_digest
from ringback.sip.digest_server import Authenticator, Claim, Outcome, UserKeys

REALM = "example.org"
URI = "sip:example.org"
HOSTS = ["example.org"]
NOW = 1_700_000_000.0


def client(*logins: Login, minimum: str = "MD5", legacy: bool = True) -> DigestClient:
    return DigestClient(logins or [Login("alice", "secret", REALM, HOSTS)], minimum=minimum, legacy=legacy)


def challenge(
    nonce: str = "n1", algorithm: str | None = "SHA-256", qop: tuple[str, ...] = ("auth",), stale: bool = False,
    realm: str = REALM,
) -> str:  # fmt: skip
    return Challenge(realm, nonce, algorithm, qop, stale).write()


def sent(fields: list[tuple[str, str]]) -> list[tuple[str, Credentials]]:
    found = []
    for name, value in fields:
        credentials = parse_credentials(value)
        assert credentials is not None
        found.append((name, credentials))
    return found


def only(fields: list[tuple[str, str]]) -> Credentials:
    ((name, credentials),) = sent(fields)
    assert name == "Authorization"
    return credentials


def digest(credentials: Credentials, method: str = "REGISTER", body: bytes = b"", password: str = "secret") -> str:
    key = ha1("alice", credentials.realm, password, credentials.known)
    return request_digest(
        key, credentials.known, method, credentials.uri, credentials.nonce, credentials.nc, credentials.cnonce or "",
        credentials.qop, body,
    )  # fmt: skip


# Answers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [*AVAILABLE, *[f"{name}-sess" for name in AVAILABLE], None])
def test_an_answer_is_right_and_complete(algorithm: str | None) -> None:
    asked = Challenge(REALM, "n1", algorithm, ("auth", "auth-int"), opaque="op").write()
    found = client().attempt(REALM).answer([asked], [], "REGISTER", URI, "c1")
    assert found.refused == []
    given = only(found.fields)
    assert (given.username, given.realm, given.nonce, given.uri) == ("alice", REALM, "n1", URI)
    # "The values of the opaque and algorithm fields must be those supplied".
    assert (given.algorithm, given.opaque) == (algorithm, "op")
    assert (given.qop, given.nc, given.cnonce) == ("auth", "00000001", "c1")
    assert given.response == digest(given)


def test_the_spelling_of_the_algorithm_is_returned_as_it_came() -> None:
    given = only(client().attempt(REALM).answer([challenge(algorithm="sha-256")], [], "REGISTER", URI, "c1").fields)
    assert given.algorithm == "sha-256"
    assert given.response == digest(given)


def test_auth_int_is_used_when_it_alone_is_offered() -> None:
    asked = challenge(qop=("auth-conf", "auth-int"))
    given = only(client().attempt(REALM).answer([asked], [], "INVITE", URI, "c1", b"v=0").fields)
    assert given.qop == "auth-int"
    assert given.response == digest(given, "INVITE", b"v=0") != digest(given, "INVITE", b"")


def test_a_challenge_without_qop_is_answered_without_count_and_cnonce() -> None:
    given = only(client().attempt(REALM).answer([challenge(qop=())], [], "REGISTER", URI, "c1").fields)
    assert (given.qop, given.nc, given.cnonce) == ("", "", None)
    assert given.response == digest(given)


def test_the_name_is_hashed_when_the_server_asks_for_it() -> None:
    asked = Challenge(REALM, "n1", "SHA-256", ("auth",), userhash=True).write()
    given = only(client().attempt(REALM).answer([asked], [], "REGISTER", URI, "c1").fields)
    assert (given.userhash, given.username) == (True, hashed_username("alice", REALM, "SHA-256"))
    assert given.response == digest(given)


def test_names_and_passwords_are_normalised_when_the_server_says_utf_8() -> None:
    login = Login("Ja\u0308s", "pa\u0308ss", REALM, HOSTS)
    for charset, user, password in ((None, "Ja\u0308s", "pa\u0308ss"), ("utf-8", "J\u00e4s", "p\u00e4ss")):
        asked = Challenge(REALM, "n1", "SHA-256", ("auth",), charset=charset).write()
        given = only(client(login).attempt(REALM).answer([asked], [], "REGISTER", URI, "c1").fields)
        assert given.username == user
        key = ha1(user, REALM, password, "SHA-256")
        assert given.response == request_digest(key, "SHA-256", "REGISTER", URI, "n1", "00000001", "c1", "auth", b"")


@pytest.mark.parametrize("user", ['o"brien\\', "Jäsøn Doe", "a\tb", "caf\udce9"])
def test_difficult_names_reach_the_server(user: str) -> None:
    authenticator = Authenticator(bytes(32))
    asked = [value for _, value in authenticator.challenges(REALM, NOW, b"12345678")]
    found = client(Login(user, "päss", REALM, HOSTS)).attempt(REALM).answer(asked, [], "REGISTER", URI, "c1")
    keys = UserKeys({name: ha1(user, REALM, "päss", name) for name in AVAILABLE})
    verdict = authenticator.verify(
        [value for _, value in found.fields], REALM, {user: keys}.get, method="REGISTER", uri=URI, now=NOW
    )
    assert (verdict.outcome, verdict.user) == (Outcome.OK, user)


def test_a_login_may_keep_ha1s_in_place_of_the_password() -> None:
    login = Login("alice", None, REALM, HOSTS, {"MD5": ha1("alice", REALM, "secret", "MD5")})
    asked = [challenge(algorithm="SHA-256"), challenge(algorithm="MD5-sess")]
    found = client(login).attempt(REALM).answer(asked, [], "REGISTER", URI, "c1")
    given = only(found.fields)
    assert given.known == "MD5-sess"
    assert given.response == digest(given)
    assert found.refused == ["realm 'example.org': the login has no key for SHA-256"]


# Which challenge ------------------------------------------------------------------------------------------------------


def test_the_topmost_that_is_supported_is_answered() -> None:
    asked = [challenge("n0", "AKAv1-MD5"), challenge("n1", "SHA-256"), challenge("n2", "MD5")]
    found = client().attempt(REALM).answer(asked, [], "REGISTER", URI, "c1")
    assert only(found.fields).nonce == "n1"
    assert found.refused == ["realm 'example.org': the algorithm 'AKAv1-MD5' is not known here"]
    # "topmost": the order is the server's, not ours.
    assert only(client().attempt(REALM).answer(asked[::-1], [], "REGISTER", URI, "c1").fields).nonce == "n2"


def test_md5_is_refused_when_policy_says_so() -> None:
    strict = client(minimum="SHA-256")
    found = strict.attempt(REALM).answer([challenge(algorithm="MD5")], [], "REGISTER", URI, "c1")
    assert found.fields == []
    assert found.refused == ["realm 'example.org': MD5 is below SHA-256, the weakest that is answered"]
    mixed = [challenge("n1", "MD5"), challenge("n2", "SHA-256")]
    assert only(strict.attempt(REALM).answer(mixed, [], "REGISTER", URI, "c1").fields).nonce == "n2"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (challenge(qop=("auth-conf",)), "none of the qop 'auth-conf' is known here"),
        (challenge(algorithm="MD5-sess", qop=()), "MD5-sess needs qop"),
        ('Digest realm="example.org"', "a challenge cannot be read: parameter nonce is missing"),
        ('Basic realm="example.org"', "not a Digest challenge: 'Basic'"),
    ],
)
def test_a_challenge_that_is_not_understood_is_ignored(asked: str, reason: str) -> None:
    found = client().attempt(REALM).answer([asked], [], "REGISTER", URI, "c1")
    assert found.fields == []
    assert len(found.refused) == 1
    assert found.refused[0].endswith(reason)
    again = client().attempt(REALM).answer([asked, challenge("n2")], [], "REGISTER", URI, "c1")
    assert only(again.fields).nonce == "n2"


def test_challenges_without_qop_are_refused_when_policy_says_so() -> None:
    found = client(legacy=False).attempt(REALM).answer([challenge(qop=())], [], "REGISTER", URI, "c1")
    assert (found.fields, found.refused) == ([], ["realm 'example.org': a challenge without qop is not answered"])


def test_no_challenge_at_all() -> None:
    found = client().attempt(REALM).answer([], [], "REGISTER", URI, "c1")
    assert (found.fields, found.refused) == ([], [])


def test_at_most_32_challenges_are_looked_at() -> None:
    asked = ['Basic realm="x"'] * 32 + [challenge()]
    assert client().attempt(REALM).answer(asked, [], "REGISTER", URI, "c1").fields == []
    assert client().attempt(REALM).answer(asked[1:], [], "REGISTER", URI, "c1").fields != []


# Who is answered ------------------------------------------------------------------------------------------------------


def test_a_foreign_realm_gets_nothing() -> None:
    found = client().attempt(REALM).answer([challenge(realm="evil.example")], [], "REGISTER", URI, "c1")
    assert found.fields == []
    assert found.refused == ["'example.org' asked for realm 'evil.example', the login is for 'example.org'"]


def test_a_foreign_host_that_uses_our_realm_gets_nothing() -> None:
    attempt = client().attempt("evil.example", "proxy.evil.example")
    found = attempt.answer([challenge()], [challenge()], "INVITE", "sip:bob@evil.example", "c1")
    assert found.fields == []
    assert found.refused == [
        "'evil.example' may not ask for the login of realm 'example.org'",
        "'proxy.evil.example' may not ask for the login of realm 'example.org'",
    ]


def test_a_foreign_host_gets_no_credentials_beforehand_either() -> None:
    phone = client()
    phone.attempt(REALM).answer([challenge()], [challenge("p1")], "REGISTER", URI, "c1")
    assert [name for name, _ in phone.attempt(REALM).fields("REGISTER", URI, "c2")] == [
        "Authorization",
        "Proxy-Authorization",
    ]
    assert phone.attempt("evil.example").fields("INVITE", "sip:bob@evil.example", "c3") == []
    # A call to a stranger through our own proxy: the proxy gets its part, the stranger not.
    through = phone.attempt("evil.example", "EXAMPLE.org.").fields("INVITE", "sip:bob@evil.example", "c4")
    assert [name for name, _ in through] == ["Proxy-Authorization"]


def test_the_proxy_is_the_next_hop_and_the_server_is_the_target() -> None:
    login = Login("alice", "secret", REALM, ["[2001:DB8::1]"])
    attempt = client(login).attempt("bob.example", "2001:db8::1")
    found = attempt.answer([challenge("n1")], [challenge("n2")], "INVITE", "sip:bob.example", "c1")
    ((name, given),) = sent(found.fields)
    assert (name, given.nonce) == ("Proxy-Authorization", "n2")
    assert found.refused == ["'bob.example' may not ask for the login of realm 'example.org'"]


def test_a_login_without_realm_takes_the_first_one_that_its_host_asks_with() -> None:
    login = Login("alice", "secret", None, HOSTS)
    phone = client(login)
    assert phone.attempt("evil.example").answer([challenge(realm="evil")], [], "INVITE", URI, "c1").fields == []
    assert login.realm is None
    assert only(phone.attempt(REALM).answer([challenge(realm="PBX")], [], "REGISTER", URI, "c2").fields).realm == "PBX"
    found = phone.attempt(REALM).answer([], [challenge(realm="other")], "INVITE", URI, "c3")
    assert found.fields == []
    assert found.refused == ["'example.org' asked for realm 'other', the login is for 'PBX'"]


def test_a_realm_that_cannot_be_answered_is_not_taken() -> None:
    login = Login("alice", "secret", None, HOSTS)
    client(login, minimum="SHA-256").attempt(REALM).answer([challenge(algorithm="MD5")], [], "REGISTER", URI, "c1")
    assert login.realm is None


def test_each_realm_gets_its_own_password() -> None:
    phone = client(
        Login("alice", "secret", REALM, HOSTS), Login("trunk", "other", "carrier.example", ["carrier.example"])
    )
    attempt = phone.attempt(REALM, "carrier.example")
    found = attempt.answer([challenge("n1")], [challenge("n2", realm="carrier.example")], "INVITE", URI, "c1")
    (first, second) = sent(found.fields)
    assert (first[0], first[1].username, first[1].response) == ("Authorization", "alice", digest(first[1], "INVITE"))
    key = ha1("trunk", "carrier.example", "other", "SHA-256")
    assert (second[0], second[1].username) == ("Proxy-Authorization", "trunk")
    assert second[1].response == request_digest(
        key, "SHA-256", "INVITE", URI, "n2", "00000001", "c1", "auth", b""
    )


def test_anybody_may_ask_only_when_that_is_said() -> None:
    login = Login("alice", "secret", REALM, [ANY_HOST])
    assert client(login).attempt("anywhere.example").answer([challenge()], [], "INVITE", URI, "c1").fields != []
    with pytest.raises(LocalError, match="hosts"):
        Login("alice", "secret", REALM, [])


@pytest.mark.parametrize(("realm", "keys"), [(None, {"MD5": "0"}), (REALM, None)])
def test_a_login_that_cannot_work(realm: str | None, keys: dict[str, str] | None) -> None:
    with pytest.raises(LocalError, match="password"):
        Login("alice", None, realm, HOSTS, keys)


def test_arguments_that_cannot_work() -> None:
    with pytest.raises(LocalError, match="cnonce"):
        client().attempt(REALM).answer([challenge()], [], "REGISTER", URI, "")
    with pytest.raises(LocalError, match="cnonce"):
        client().attempt(REALM).fields("REGISTER", URI, "")
    with pytest.raises(LocalError, match="not a digest algorithm"):
        client(minimum="SHA-1")


# Forked requests ------------------------------------------------------------------------------------------------------


def test_one_answer_a_realm_when_a_fork_collected_several() -> None:
    asked = [challenge("n1"), challenge("n2"), challenge("x", realm="elsewhere.example"), challenge("n3")]
    found = client().attempt(REALM).answer([], asked, "INVITE", URI, "c1")
    assert [(name, given.nonce) for name, given in sent(found.fields)] == [("Proxy-Authorization", "n1")]
    assert len(found.refused) == 1


def test_a_second_realm_is_answered_beside_the_first() -> None:
    phone = client(Login("alice", "secret", REALM, HOSTS), Login("bob", "b", "b.example", ["b.example"]))
    attempt = phone.attempt("b.example", REALM)
    first = attempt.answer([], [challenge("p1")], "INVITE", URI, "c1")
    assert [given.nc for _, given in sent(first.fields)] == ["00000001"]
    second = attempt.answer([challenge("b1", realm="b.example")], [], "INVITE", URI, "c2")
    found = [(name, given.realm, given.nc, given.cnonce) for name, given in sent(second.fields)]
    assert found == [
        ("Proxy-Authorization", REALM, "00000002", "c2"),
        ("Authorization", "b.example", "00000001", "c2"),
    ]


def test_what_one_realm_refuses_is_not_sent_again_for_the_sake_of_another() -> None:
    phone = client(Login("alice", "secret", REALM, HOSTS), Login("bob", "b", "b.example", ["b.example"]))
    attempt = phone.attempt("b.example", REALM)
    attempt.answer([], [challenge("p1")], "INVITE", URI, "c1")
    found = attempt.answer([challenge("b1", realm="b.example")], [challenge("p2")], "INVITE", URI, "c2")
    assert [(name, given.realm) for name, given in sent(found.fields)] == [("Authorization", "b.example")]
    assert found.refused == ["realm 'example.org' refused the credentials that it was given"]


# When it ends ---------------------------------------------------------------------------------------------------------


def test_a_second_challenge_that_is_not_stale_ends_it() -> None:
    phone = client()
    attempt = phone.attempt(REALM)
    assert attempt.answer([challenge("n1")], [], "REGISTER", URI, "c1").fields != []
    found = attempt.answer([challenge("n2")], [], "REGISTER", URI, "c2")
    assert found.fields == []
    assert found.refused == ["realm 'example.org' refused the credentials that it was given"]
    # Nothing of it is kept: the next request begins without credentials.
    assert phone.attempt(REALM).fields("REGISTER", URI, "c3") == []


def test_a_stale_nonce_is_replaced_once() -> None:
    attempt = client().attempt(REALM)
    attempt.answer([challenge("n1")], [], "REGISTER", URI, "c1")
    again = only(attempt.answer([challenge("n2", stale=True)], [], "REGISTER", URI, "c2").fields)
    assert (again.nonce, again.nc) == ("n2", "00000001")


def test_new_nonces_for_ever_end_after_two_answers() -> None:
    attempt = client().attempt(REALM)
    answers = [attempt.answer([challenge(f"n{n}", stale=True)], [], "REGISTER", URI, f"c{n}") for n in range(5)]
    assert [bool(found.fields) for found in answers] == [True, True, False, False, False]
    assert answers[2].refused == ["realm 'example.org' keeps changing its nonce"]


def test_stale_with_the_same_nonce_ends_it() -> None:
    attempt = client().attempt(REALM)
    attempt.answer([challenge("n1")], [], "REGISTER", URI, "c1")
    assert attempt.answer([challenge("n1", stale=True)], [], "REGISTER", URI, "c2").fields == []


# Sessions -------------------------------------------------------------------------------------------------------------


def test_the_next_request_goes_on_with_the_nonce() -> None:
    phone = client()
    assert phone.attempt(REALM).fields("REGISTER", URI, "c0") == []
    phone.attempt(REALM).answer([challenge("n1")], [], "REGISTER", URI, "c1")
    for number in (2, 3, 4):
        given = only(phone.attempt(REALM).fields("REGISTER", URI, f"c{number}"))
        assert (given.nonce, given.nc, given.cnonce) == ("n1", f"{number:08x}", f"c{number}")
        assert given.response == digest(given)
    attempt = phone.attempt(REALM)
    assert [only(attempt.fields("REGISTER", URI, cnonce)).nc for cnonce in ("c5", "c6")] == ["00000005", "00000006"]


def test_the_session_variant_stays_with_its_first_cnonce() -> None:
    phone = client()
    phone.attempt(REALM).answer([challenge("n1", "SHA-256-sess")], [], "REGISTER", URI, "c1")
    given = only(phone.attempt(REALM).fields("REGISTER", URI, "c2"))
    assert (given.nc, given.cnonce) == ("00000002", "c1")
    assert given.response == digest(given)


def test_credentials_sent_beforehand_and_refused_are_tried_once_on_the_new_nonce() -> None:
    phone = client()
    phone.attempt(REALM).answer([challenge("n1")], [], "REGISTER", URI, "c1")
    attempt = phone.attempt(REALM)
    attempt.fields("REGISTER", URI, "c2")
    assert only(attempt.answer([challenge("n2")], [], "REGISTER", URI, "c3").fields).nonce == "n2"
    assert attempt.answer([challenge("n3")], [], "REGISTER", URI, "c4").fields == []


def test_the_count_goes_on_when_the_server_repeats_its_nonce() -> None:
    phone = client()
    phone.attempt(REALM).answer([challenge("n1")], [], "REGISTER", URI, "c1")
    attempt = phone.attempt(REALM)
    attempt.fields("REGISTER", URI, "c2")
    assert only(attempt.answer([challenge("n1")], [], "REGISTER", URI, "c3").fields).nc == "00000003"


def test_requests_that_overtake_each_other_get_another_try() -> None:
    """Two requests share a nonce; the second arrives first, so the first one's count does not rise any more."""
    phone = client()
    first, second = phone.attempt(REALM), phone.attempt(REALM)
    first.answer([challenge("n1")], [], "REGISTER", URI, "c1")
    assert only(second.fields("REGISTER", URI, "c2")).nc == "00000002"
    assert only(first.answer([challenge("n2")], [], "REGISTER", URI, "c3").fields).nonce == "n2"
    assert first.answer([challenge("n3")], [], "REGISTER", URI, "c4").fields == []


def test_the_failure_of_one_request_leaves_the_session_of_a_later_one() -> None:
    phone = client()
    first, second = phone.attempt(REALM), phone.attempt(REALM)
    first.answer([challenge("n1")], [], "REGISTER", URI, "c1")
    second.answer([challenge("n2")], [], "REGISTER", URI, "c2")
    assert first.answer([challenge("n3")], [], "REGISTER", URI, "c3").fields == []
    assert only(phone.attempt(REALM).fields("REGISTER", URI, "c4")).nonce == "n2"


# Authentication-Info --------------------------------------------------------------------------------------------------


def test_the_next_nonce_is_used_from_its_first_count_on() -> None:
    phone = client()
    attempt = phone.attempt(REALM)
    attempt.answer([challenge("n1")], [], "REGISTER", URI, "c1")
    assert attempt.accepted("Authentication-Info", 'nextnonce="n2"') is Proof.ABSENT
    given = only(phone.attempt(REALM).fields("REGISTER", URI, "c2"))
    assert (given.nonce, given.nc) == ("n2", "00000001")
    assert given.response == digest(given)


def test_the_servers_proof() -> None:
    authenticator = Authenticator(bytes(32), qop=["auth-int"])
    keys = UserKeys({name: ha1("alice", REALM, "secret", name) for name in AVAILABLE})
    asked = [value for _, value in authenticator.challenges(REALM, NOW, b"12345678", proxy=True)]
    phone = client()
    attempt = phone.attempt(REALM)
    found = attempt.answer([], asked, "INVITE", URI, "c1", b"offer")
    claim = authenticator.select([value for _, value in found.fields], REALM)
    assert isinstance(claim, Claim)
    info = authenticator.confirm(claim, keys, body=b"answer", next_nonce="n2")
    # What a stranger makes is not believed, and changes nothing.
    assert attempt.accepted("Proxy-Authentication-Info", info, b"another answer") is Proof.WRONG
    assert attempt.accepted("Authentication-Info", info, b"answer") is Proof.ABSENT
    # Meanwhile another request has used the nonce.
    assert [given.nc for _, given in sent(phone.attempt(REALM).fields("INVITE", URI, "c2"))] == ["00000002"]
    assert attempt.accepted("proxy-authentication-info", info, b"answer") is Proof.GIVEN
    assert [given.nonce for _, given in sent(phone.attempt(REALM).fields("INVITE", URI, "c3"))] == ["n2"]


def test_info_for_another_request_is_not_taken() -> None:
    phone = client()
    attempt = phone.attempt(REALM)
    attempt.answer([challenge("n1")], [], "REGISTER", URI, "c1")
    for nc, cnonce in (("00000002", "c1"), ("00000001", "c2")):
        value = AuthenticationInfo("n2", "auth", "00", cnonce, nc).write()
        assert attempt.accepted("Authentication-Info", value) is Proof.ABSENT
    assert only(phone.attempt(REALM).fields("REGISTER", URI, "c2")).nonce == "n1"


def test_info_of_two_realms_that_cannot_be_told_apart_is_not_taken() -> None:
    phone = client(Login("alice", "secret", REALM, HOSTS), Login("alice", "other", "b.example", HOSTS))
    attempt = phone.attempt(REALM)
    attempt.answer([challenge("n1"), challenge("m1", realm="b.example")], [], "REGISTER", URI, "c1")
    assert attempt.accepted("Authentication-Info", 'nextnonce="x"') is Proof.ABSENT
    assert {given.nonce for _, given in sent(phone.attempt(REALM).fields("REGISTER", URI, "c2"))} == {"n1", "m1"}


def test_info_that_cannot_be_read() -> None:
    attempt = client().attempt(REALM)
    with pytest.raises(ParseError):
        attempt.accepted("Authentication-Info", "nextnonce")


# With our own server --------------------------------------------------------------------------------------------------


def test_a_day_of_registrations() -> None:
    """A refresh a minute: one challenge first, then one round trip each, with a stale nonce every five minutes."""
    authenticator = Authenticator(bytes(32))
    keys = {"alice": UserKeys({name: ha1("alice", REALM, "secret", name) for name in AVAILABLE}, "SHA-256")}
    phone = client(minimum="SHA-256")
    round_trips = []
    for minute in range(60):
        now = NOW + minute * 60
        attempt = phone.attempt(REALM)
        fields = attempt.fields("REGISTER", URI, f"c{minute}")
        for trip in range(1, 5):
            values = [value for _, value in fields]
            verdict = authenticator.verify(values, REALM, keys.get, method="REGISTER", uri=URI, now=now)
            if verdict.ok:
                round_trips.append(trip)
                break
            asked = [
                value
                for _, value in authenticator.challenges(REALM, now, f"token {minute:06}".encode(), stale=verdict.stale)
            ]
            found: Answer = attempt.answer(asked, [], "REGISTER", URI, f"d{minute}")
            fields = found.fields
            assert fields, found.refused
    # The nonce of minute 0 is good up to and including minute 5.
    assert round_trips == [2 if minute % 6 == 0 else 1 for minute in range(60)]
