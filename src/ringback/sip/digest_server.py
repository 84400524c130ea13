"""The server's side of Digest authentication: making challenges and judging answers (RFC 8760 2.3, RFC 7616 3.6).

Judging takes two steps, so that the caller can look the user up in between, in a store if need be:

    claim = authenticator.select(values, realm)       which of the Authorization values is for us; is the nonce ours?
    verdict = authenticator.check(claim, keys, ...)   is the response right, for this request, for the first time?

`verify` does both when the lookup is at hand. The first step depends on no user. The second does the same work whether
the user exists or not (for one who does not, a key is derived from the secret), and what it says on the wire is the
same: `Verdict.status` and `Verdict.stale`. `Verdict.outcome` and `Verdict.reason` are for the log alone.

What the caller has to see to: ACK and CANCEL are not judged (`may_challenge`), and retransmissions are absorbed before,
because they repeat a nonce count. Counts are known to one `Authenticator`: processes that share a secret would each
accept an answer once, so the requests of one peer should come to the same process.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final

from ringback.errors import ConfigurationError, ParseError
from ringback.sip.digest import AuthenticationInfo, Challenge, Credentials, parse_credentials
from ringback.sip.digest_hash import AVAILABLE, octets, request_digest, strength
from ringback.sip.digest_nonce import EARLIEST, Count, NonceCounts, NonceSigner, issued_at, token_of
from ringback.sip.grammar import shown

#: Seconds for which a nonce is good.
LIFETIME: Final = 300.0
#: Nonces whose counts are kept at most; each takes some 250 bytes.
CAPACITY: Final = 65536
#: Authorization values of one request that are looked at.
MOST_VALUES: Final = 16

_QOP: Final = ("auth", "auth-int")
#: Realms whose challenges are kept written.
_MOST_REALMS: Final = 64
#: Keeps the keys of nobody apart from all others that are made of the same secret.
_PURPOSE: Final = b"ringback keys of nobody"


class Outcome(Enum):
    """What became of a request's credentials."""

    OK = "ok"
    MISSING = "missing"
    MALFORMED = "malformed"
    WRONG_REALM = "wrong realm"
    WEAK_ALGORITHM = "weak algorithm"
    NO_QOP = "no qop"
    FORGED_NONCE = "forged nonce"
    UNKNOWN_USER = "unknown user"
    BAD_RESPONSE = "bad response"
    URI_MISMATCH = "uri mismatch"
    STALE = "stale"
    REPLAYED = "replayed"


class Verdict:
    """The outcome, with the user's name as it was claimed ("" before it was read) and an English reason for the log."""

    __slots__ = ("outcome", "reason", "user")

    def __init__(self, outcome: Outcome, user: str, reason: str) -> None:
        self.outcome: Outcome = outcome
        self.user: str = user
        self.reason: str = reason

    @property
    def ok(self) -> bool:
        """Whether the request is from `user`."""
        return self.outcome is Outcome.OK

    @property
    def stale(self) -> bool:
        """Whether the next challenge says stale=true: the response was right, its nonce is no longer good."""
        return self.outcome is Outcome.STALE

    def status(self, proxy: bool = False) -> int:
        """The SIP status to answer with: 200 (go on), 400, 401 or (for a proxy) 407 with new challenges, 403."""
        if self.outcome is Outcome.OK:
            return 200
        if self.outcome is Outcome.MALFORMED:
            # RFC 7616 3.4: "If a parameter or its value is improper, or required parameters are missing, the proper
            # response is a 4xx error code."
            return 400
        if self.outcome in (Outcome.URI_MISMATCH, Outcome.WEAK_ALGORITHM, Outcome.NO_QOP):
            # No new nonce would change it, and a 401 would make the client try for ever. RFC 3261 22.1: "a server may
            # repeat its challenge, or it may respond with a 403 Forbidden."
            return 403
        # "registrars and redirect servers MAY make use of 401 (Unauthorized) responses for authentication, but proxies
        # MUST NOT, and instead MAY use the 407".
        return 407 if proxy else 401

    def __repr__(self) -> str:
        return f"Verdict({self.outcome.name}, {self.user!r}, {self.reason!r})"


class UserKeys:
    """What is kept of a user's password: HA1 by algorithm, and the weakest algorithm that the user may answer with."""

    __slots__ = ("ha1s", "minimum")

    def __init__(self, ha1s: Mapping[str, str], minimum: str = "MD5") -> None:
        if strength(minimum) == 0:
            raise ConfigurationError(f"not a digest algorithm: {shown(minimum)}")
        self.ha1s: Mapping[str, str] = ha1s
        self.minimum: str = minimum


class Claim:
    """Credentials with a genuine nonce, whose response is yet to be checked. Made by `Authenticator.select` only."""

    __slots__ = ("credentials", "raw")

    def __init__(self, credentials: Credentials, raw: bytes) -> None:
        self.credentials: Credentials = credentials
        self.raw: bytes = raw

    @property
    def user(self) -> str:
        """The user's name as the client wrote it."""
        return self.credentials.username

    @property
    def token(self) -> bytes:
        """The token that was given to `Authenticator.challenges` for the nonce."""
        return token_of(self.raw)


def may_challenge(method: str) -> bool:
    """Whether a request of this method may be challenged.

    RFC 3261 22.1: "any credentials in the INVITE that were accepted by a server MUST be accepted by that server for the
    ACK", "Servers MUST NOT attempt to challenge an ACK" and "servers MUST NOT attempt to challenge CANCEL requests".
    """
    return method != "ACK" and method != "CANCEL"


def same_text(ours: str, theirs: str) -> bool:
    """The strictest comparison of the digest-uri and the Request-URI."""
    return ours == theirs


class Authenticator:
    """Challenges and judges for any number of realms.

    secret      at least 16 random bytes; kept over restarts, so that a nonce given before one is still known after it
    lifetime    seconds for which a nonce is good, the last moment included
    algorithms  offered, most preferred first
    qop         offered: "auth", and "auth-int" where nothing on the way rewrites bodies
    legacy      whether to accept answers without qop (RFC 2069); each nonce is then good for one of them
    capacity    nonces whose counts are kept; `NonceCounts` says what happens to more
    started     wall-clock seconds before which no nonce is accepted without stale: when this process began
    """

    __slots__ = ("_algorithms", "_counts", "_fake", "_legacy", "_lifetime", "_qop", "_signer", "_written")

    def __init__(
        self,
        secret: bytes,
        *,
        lifetime: float = LIFETIME,
        algorithms: Sequence[str] = AVAILABLE,
        qop: Sequence[str] = ("auth",),
        legacy: bool = False,
        capacity: int = CAPACITY,
        started: float = 0.0,
    ) -> None:
        for name in algorithms:
            if name not in AVAILABLE:
                raise ConfigurationError(f"not a digest algorithm that can be offered: {shown(name)}; {AVAILABLE} can")
        if not algorithms or len(set(algorithms)) != len(algorithms):
            # RFC 8760 2.3: "each of these header fields MUST use a different digest algorithm".
            raise ConfigurationError("the digest algorithms have to be one or more, each once")
        if not qop or not set(_QOP).issuperset(qop):
            # RFC 8760 2.6: "A UAS MUST always send a "qop" parameter".
            raise ConfigurationError(f"the digest qop has to be one or both of {_QOP}")
        if lifetime <= 0 or capacity < 1:
            raise ConfigurationError("the lifetime of nonces and the number kept have to be above 0")
        self._signer: NonceSigner = NonceSigner(secret)
        self._lifetime: float = lifetime
        self._algorithms: tuple[str, ...] = tuple(algorithms)
        self._qop: tuple[str, ...] = tuple(qop)
        self._legacy: bool = legacy
        self._counts: NonceCounts = NonceCounts(lifetime, capacity, started)
        #: The key of the keys of users who do not exist.
        self._fake: bytes = hmac.digest(secret, _PURPOSE, "sha256")
        #: By realm and `stale`, what stands before and after the nonce in the challenge of each algorithm.
        self._written: dict[tuple[str, bool], list[tuple[str, str]]] = {}

    def challenges(
        self, realm: str, now: float, token: bytes, *, stale: bool = False, proxy: bool = False, peer: str = ""
    ) -> list[tuple[str, str]]:
        """The header fields (name, value) for a 401, or with `proxy` for a 407.

        `now` is wall-clock seconds and `token` 8 to 32 random bytes, new each time. With `peer` only the requests that
        are judged with the same `peer` may use the nonce: not for clients whose requests come by different ways.
        """
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        nonce = self._signer.make(realm, peer, now, token)
        written = self._written.get((realm, stale))
        if written is None:
            written = self._write(realm, stale)
        return [(name, f"{before}{nonce}{after}") for before, after in written]

    def _write(self, realm: str, stale: bool) -> list[tuple[str, str]]:
        """The challenges for a realm, each as what stands before and after the nonce, which needs no escapes."""
        written: list[tuple[str, str]] = []
        # RFC 8760 2.3: "The UAS MUST add these header fields to the response in the order in which it would prefer to
        # see them used, starting with the most preferred algorithm at the top."
        for algorithm in self._algorithms:
            # The realm, which stands before it, has no quotes that are not escaped.
            before, _, after = Challenge(realm, "", algorithm, self._qop, stale).write().partition('nonce=""')
            written.append((f'{before}nonce="', f'"{after}'))
        if len(self._written) >= _MOST_REALMS:
            self._written.clear()
        self._written[realm, stale] = written
        return written

    def select(self, values: Sequence[str], realm: str, *, peer: str = "") -> Claim | Verdict:
        """The first of the Authorization (or Proxy-Authorization) values that can be judged for this realm.

        Otherwise a verdict that says why there is none. Nothing here depends on the user.
        """
        refusal = Verdict(Outcome.MISSING, "", "no Digest credentials")
        for value in values[:MOST_VALUES]:
            try:
                credentials = parse_credentials(value)
            except ParseError as error:
                refusal = Verdict(Outcome.MALFORMED, "", error.reason)
                continue
            if credentials is None:
                # RFC 8760 2.6: "SIP clients and servers MUST NOT accept or request Basic authentication." Other schemes
                # are for others to judge.
                continue
            if credentials.realm != realm:
                # RFC 3261 22.3: "a Proxy-Authorization header field value MUST NOT be consumed by any proxy whose realm
                # does not match the "realm" parameter specified in that value."
                if refusal.outcome is Outcome.MISSING:
                    reason = f"credentials for realm {shown(credentials.realm)} only"
                    refusal = Verdict(Outcome.WRONG_REALM, credentials.username, reason)
                continue
            raw = self._signer.read(credentials.nonce, realm, peer)
            found = self._refusal(credentials, raw)
            if found is None:
                return Claim(credentials, raw)
            refusal = found
        return refusal

    def _refusal(self, credentials: Credentials, raw: bytes) -> Verdict | None:
        """Why credentials for our realm cannot be judged, or None; `raw` is empty when the nonce is not ours."""
        user = credentials.username
        if not credentials.nonce or not credentials.response:
            # RFC 8760 2.7: "(empty string) is allowed when the UAC has not yet received a challenge".
            return Verdict(Outcome.MISSING, user, "credentials without a nonce or a response")
        if credentials.known not in self._algorithms:
            reason = f"algorithm {shown(credentials.algorithm or 'MD5')} was not offered"
            return Verdict(Outcome.WEAK_ALGORITHM, user, reason)
        if credentials.userhash:
            return Verdict(Outcome.MALFORMED, user, "userhash=true was not offered")
        if not credentials.qop:
            if not self._legacy:
                return Verdict(Outcome.NO_QOP, user, "an answer without qop has no protection against replay")
        elif credentials.qop not in self._qop:
            # RFC 7616 3.4: "Its value MUST be one of the alternatives the server indicated it supports".
            return Verdict(Outcome.MALFORMED, user, f"qop {shown(credentials.qop)} was not offered")
        if not raw:
            return Verdict(Outcome.FORGED_NONCE, user, "the nonce is not one that was given to this realm and peer")
        return None

    def check(
        self,
        claim: Claim,
        keys: UserKeys | None,
        *,
        method: str,
        uri: str,
        now: float,
        body: bytes = b"",
        same_uri: Callable[[str, str], bool] = same_text,
    ) -> Verdict:
        """Judge the response of `claim` for a request.

        keys      the user's, None for a user who does not exist
        uri       the Request-URI as it stands in the request
        now       wall-clock seconds
        same_uri  asked when the digest-uri (its second argument) is not the text of the Request-URI (its first)
        """
        given = claim.credentials
        user = given.username
        fake = self._fake_key(given)
        found = "" if keys is None else keys.ha1s.get(given.known, "").lower()
        expected = request_digest(
            found or fake, given.known, method, given.uri, given.nonce, given.nc, given.cnonce or "", given.qop, body
        )
        right = hmac.compare_digest(expected, given.response)
        if keys is None:
            return Verdict(Outcome.UNKNOWN_USER, user, "no such user")
        if not found:
            return Verdict(Outcome.BAD_RESPONSE, user, f"no key of the user is kept for {given.known}")
        if not right:
            return Verdict(Outcome.BAD_RESPONSE, user, "the response is wrong: another password, method, URI or body")
        # From here on the client has proved to know the password: what it is told now tells nobody who the users are.
        if given.uri != uri and not same_uri(uri, given.uri):
            # RFC 8760 2.6: "a UAS MUST check if the Request-URI in the Authorization/Proxy-Authorization header field
            # value corresponds to a user for whom the UAS is willing to accept forwarded or direct requests".
            reason = f"made for {shown(given.uri)}, used for {shown(uri)}"
            return Verdict(Outcome.URI_MISMATCH, user, reason)
        if strength(given.known) < strength(keys.minimum):
            return Verdict(Outcome.WEAK_ALGORITHM, user, f"{given.known} is below {keys.minimum}, the user's minimum")
        return self._count(claim, now)

    def _count(self, claim: Claim, now: float) -> Verdict:
        """The verdict on a right response by the age and the count of its nonce."""
        given = claim.credentials
        user = given.username
        age = now - issued_at(claim.raw)
        if age > self._lifetime or age < -EARLIEST:
            # RFC 7616 3.3 on stale: "the client may wish to simply retry the request with a new encrypted response,
            # without re-prompting the user". A nonce from the future was given before the clock was set back.
            return Verdict(Outcome.STALE, user, f"the nonce is {age:.0f} s old; it was good for {self._lifetime:.0f} s")
        count = self._counts.use(claim.raw, int(given.nc, 16) if given.qop else 1, now)
        if count is Count.RISEN:
            return Verdict(Outcome.OK, user, f"{given.known}, nonce count {given.nc or 'none'}")
        if count is Count.FORGOTTEN:
            return Verdict(Outcome.STALE, user, "it is no longer known whether the nonce was used")
        if not given.qop:
            return Verdict(Outcome.STALE, user, "without qop a nonce is good once")
        # RFC 7616 3.4: "if the same nc value is seen twice, then the request is a replay."
        return Verdict(Outcome.REPLAYED, user, f"nonce count {given.nc} does not rise")

    def verify(
        self,
        values: Sequence[str],
        realm: str,
        lookup: Callable[[str], UserKeys | None],
        *,
        method: str,
        uri: str,
        now: float,
        body: bytes = b"",
        peer: str = "",
        same_uri: Callable[[str, str], bool] = same_text,
    ) -> Verdict:
        """`select` and `check` in one; `lookup` gives a user's keys by the name in the credentials."""
        claim = self.select(values, realm, peer=peer)
        if isinstance(claim, Verdict):
            return claim
        return self.check(claim, lookup(claim.user), method=method, uri=uri, now=now, body=body, same_uri=same_uri)

    def confirm(self, claim: Claim, keys: UserKeys, *, body: bytes = b"", next_nonce: str = "") -> str:
        """The value of an Authentication-Info header for the response to a request that was OK.

        It proves to the client that the server knows the key too; `body` is that of the response (auth-int covers it).
        `next_nonce` may come from `nonce`.
        """
        given = claim.credentials
        if not given.qop:
            return AuthenticationInfo(nextnonce=next_nonce).write()
        # RFC 7616 3.5: "if qop is set to "auth" ... A2 = ":" request-uri", that is, the method is empty.
        proof = request_digest(
            keys.ha1s[given.known].lower(), given.known, "", given.uri, given.nonce, given.nc, given.cnonce or "",
            given.qop, body,
        )  # fmt: skip
        return AuthenticationInfo(next_nonce, given.qop, proof, given.cnonce or "", given.nc).write()

    def nonce(self, realm: str, now: float, token: bytes, *, peer: str = "") -> str:
        """A nonce as `challenges` would give it, for `confirm`."""
        return self._signer.make(realm, peer, now, token)

    def expire(self, now: float) -> None:
        """Forget the counts of expired nonces at once; without it that happens little by little as requests come."""
        self._counts.expire(now)

    def _fake_key(self, given: Credentials) -> str:
        """A key for a user who does not exist: the same each time, and not to be told from a real one."""
        text = octets(f"{given.known}\0{given.realm}\0{given.username}")
        size = 16 if given.known == "MD5" else 32
        return hashlib.blake2b(text, digest_size=size, key=self._fake).hexdigest()
