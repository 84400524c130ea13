"""The client's side of Digest authentication: answering 401 and 407 (RFC 3261 22.2 and 22.3, RFC 8760 2.4).

    client = DigestClient([Login("alice", "secret", "example.org", ["example.org"])])
    attempt = client.attempt("example.org")            one request and all its resubmissions
    attempt.fields("REGISTER", uri, cnonce)            header fields for the first try: what is known from before
    attempt.answer(www, proxy, "REGISTER", uri, cnonce)    header fields for the next try, or why there is none
    attempt.accepted(name, value)                      what Authentication-Info of the 2xx says

**Who is answered.** A realm is only a text that anybody can send, so a login also names the hosts that may ask for it:
a 401 counts as asked by the host of the Request-URI, a 407 as asked by the next hop. A stranger who writes the realm of
our gateway into a challenge gets nothing, on the first request as on any later one. (A 407 that a trusted next hop
passes on from further away cannot be told from its own: that hop must not let its realm be used by strangers.)

**When it ends.** In one attempt a realm is answered once, and once more when it says that the nonce was stale and gives
another one. RFC 3261 22.1: "A UAC MUST NOT re-attempt requests with the credentials that have just been rejected
(though the request may be retried if the nonce was stale)."

**What is kept.** The last nonce of each realm and its count (RFC 7616 3.6, "authentication session"), while the
`DigestClient` lives. RFC 3261 22.3 on proxies' realms: "These credentials MUST NOT be cached across dialogs; however,
if a UA is configured with the realm of its local outbound proxy, when one exists, then the UA MAY". So a client that
lives longer than a dialog should have logins that name their realm.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from ringback.errors import LocalError, ParseError
from ringback.sip.digest import AuthenticationInfo, Challenge, Credentials, parse_authentication_info, parse_challenge
from ringback.sip.digest_hash import (
    AVAILABLE,
    SESSION_SUFFIX,
    base_algorithm,
    ha1,
    hashed_username,
    octets,
    request_digest,
    strength,
)
from ringback.sip.grammar import shown

#: In place of a host: anybody may ask who knows the realm. Meant for closed networks.
ANY_HOST: Final = "*"

#: Challenges of one response that are looked at.
MOST_CHALLENGES: Final = 32
#: Answers to one realm in one attempt.
MOST_ANSWERS: Final = 2

_LAST_COUNT: Final = 0xFFFFFFFF

AUTHORIZATION: Final = "Authorization"
PROXY_AUTHORIZATION: Final = "Proxy-Authorization"


class Login:
    """A name and a password, and who may ask for them.

    password  None when `ha1s` (HA1 by algorithm) stands in its place; HA1s need the `realm` that they were made for
    realm     None: the first realm that one of the hosts asks with; from then on only that one
    hosts     domains, host names and addresses of those who may ask, or ANY_HOST
    """

    __slots__ = ("ha1s", "hosts", "password", "realm", "user")

    def __init__(
        self,
        user: str,
        password: str | None,
        realm: str | None,
        hosts: Sequence[str],
        ha1s: Mapping[str, str] | None = None,
    ) -> None:
        if password is None and (ha1s is None or realm is None):
            raise LocalError("a login needs a password, or HA1s and the realm that they were made for")
        if not hosts:
            raise LocalError(f"a login needs the hosts that may ask for it ({ANY_HOST!r}: anybody)")
        self.user: str = user
        self.password: str | None = password
        self.realm: str | None = realm
        self.hosts: frozenset[str] = frozenset([_plain_host(host) for host in hosts])
        self.ha1s: Mapping[str, str] = {} if ha1s is None else ha1s

    def key(self, realm: str, algorithm: str, normalise: bool) -> str:
        """HA1 for this login, "" when it has none for the algorithm. `normalise`: to Unicode form C first."""
        if self.password is None:
            return self.ha1s.get(base_algorithm(algorithm), "")
        if not normalise:
            return ha1(self.user, realm, self.password, algorithm)
        # RFC 7616 section 4 on charset: "the server expects the username and password to be converted to Unicode
        # Normalization Form C".
        user = unicodedata.normalize("NFC", self.user)
        return ha1(user, realm, unicodedata.normalize("NFC", self.password), algorithm)

    def trusts(self, host: str) -> bool:
        """Whether `host` may ask."""
        return ANY_HOST in self.hosts or _plain_host(host) in self.hosts


class Answer:
    """What to resubmit a request with.

    fields   header fields (name, value) in place of all Authorization and Proxy-Authorization fields of the request
             before; empty: do not resubmit, the response with the challenges is final
    refused  one English sentence for each challenge, or realm, that was not answered
    """

    __slots__ = ("fields", "refused")

    def __init__(self, fields: list[tuple[str, str]], refused: list[str]) -> None:
        self.fields: list[tuple[str, str]] = fields
        self.refused: list[str] = refused


class Proof(Enum):
    """What Authentication-Info says about the server (RFC 7616 3.5)."""

    GIVEN = "the server knows the password"
    ABSENT = "the server does not say"
    WRONG = "the server's proof is wrong"


class _Session:
    """An authentication session of RFC 7616 3.6: one nonce of one realm, and how often it was used."""

    __slots__ = (
        "algorithm", "cnonce", "count", "key", "known", "login", "nonce", "opaque", "qop", "realm", "user", "userhash",
    )  # fmt: skip

    def __init__(self, login: Login, challenge: Challenge, qop: str, key: str, normalise: bool) -> None:
        self.login: Login = login
        self.realm: str = challenge.realm
        self.nonce: str = challenge.nonce
        self.algorithm: str | None = challenge.algorithm
        self.known: str = challenge.known
        self.opaque: str | None = challenge.opaque
        self.qop: str = qop
        self.key: str = key
        self.userhash: bool = challenge.userhash
        user = unicodedata.normalize("NFC", login.user) if normalise else login.user
        # RFC 7616 3.4.4: "the client MUST calculate a hash of the username after any other hash calculation".
        self.user: str = hashed_username(user, challenge.realm, challenge.known) if challenge.userhash else user
        self.count: int = 0
        self.cnonce: str = ""

    def authorize(self, method: str, uri: str, cnonce: str, body: bytes) -> _Sent:
        """The credentials for one more request."""
        self.count += 1
        nc = f"{self.count:08x}"
        # RFC 2617 3.2.2.2 on MD5-sess: A1 "is calculated only once - on the first request by the client", with "the
        # first client nonce value"; RFC 7616 has "the cnonce value from the request". Staying with one serves both.
        if not (self.cnonce and self.known.endswith(SESSION_SUFFIX)):
            self.cnonce = cnonce
        response = request_digest(self.key, self.known, method, uri, self.nonce, nc, self.cnonce, self.qop, body)
        # RFC 7616 3.4: "The values of the opaque and algorithm fields must be those supplied in the WWW-Authenticate
        # response header field". RFC 3261 22.4: "a cnonce value MUST NOT be sent in an Authorization (and by extension
        # Proxy-Authorization) header field if no qop directive has been sent".
        credentials = Credentials(
            username=self.user,
            realm=self.realm,
            nonce=self.nonce,
            uri=uri,
            response=response,
            algorithm=self.algorithm,
            cnonce=self.cnonce if self.qop else None,
            nc=nc if self.qop else "",
            qop=self.qop,
            opaque=self.opaque,
            userhash=self.userhash,
        )
        return _Sent(self, credentials, self.count)

    def renew(self, nonce: str) -> None:
        """Go on with the nonce that the server gave for next time."""
        self.nonce = nonce
        self.count = 0
        self.cnonce = ""


class _Sent:
    """The credentials that an attempt sent last for a realm; their session may have served other attempts since."""

    __slots__ = ("count", "credentials", "session")

    def __init__(self, session: _Session, credentials: Credentials, count: int) -> None:
        self.session: _Session = session
        self.credentials: Credentials = credentials
        self.count: int = count

    def crossed(self) -> bool:
        """Whether other requests used the same nonce, so that this one's count may have come too late."""
        return self.count > 1 or (self.session.nonce == self.credentials.nonce and self.session.count != self.count)

    def rspauth(self, body: bytes) -> str:
        """The server's proof that belongs to it."""
        given = self.credentials
        # RFC 7616 3.5: "The rspauth value is calculated as for the response in the Authorization header field, except
        # that ... A2 = ":" request-uri": the method is empty.
        return request_digest(
            self.session.key, self.session.known, "", given.uri, given.nonce, given.nc, given.cnonce or "", given.qop,
            body,
        )  # fmt: skip


class DigestClient:
    """The logins of one user agent and its authentication sessions.

    minimum  the weakest algorithm that is answered; "SHA-256" refuses MD5
    legacy   whether challenges without qop (RFC 2069) are answered
    """

    __slots__ = ("_legacy", "_logins", "_minimum", "_sessions")

    def __init__(self, logins: Sequence[Login], *, minimum: str = "MD5", legacy: bool = True) -> None:
        if strength(minimum) == 0:
            raise LocalError(f"not a digest algorithm: {shown(minimum)}")
        self._logins: tuple[Login, ...] = tuple(logins)
        self._minimum: str = minimum
        self._legacy: bool = legacy
        # By (name of the header that answers, realm). Realms are those of the logins, so there are few.
        self._sessions: dict[tuple[str, str], _Session] = {}

    def attempt(self, target: str, next_hop: str = "") -> Attempt:
        """Begin a request. `target` is the host of its Request-URI, `next_hop` the host it is sent to ("" the same)."""
        return Attempt(self, target, next_hop or target)

    def session(self, key: tuple[str, str]) -> _Session | None:
        """The session that would go on, if its count can."""
        found = self._sessions.get(key)
        return None if found is None or found.count >= _LAST_COUNT else found

    def sessions(self) -> list[tuple[str, str]]:
        """(name of the header that answers, realm) of each session."""
        return list(self._sessions)

    def forget(self, key: tuple[str, str], session: _Session) -> None:
        """End a session, unless another one has taken its place."""
        if self._sessions.get(key) is session:
            del self._sessions[key]

    def login(self, realm: str, host: str) -> Login | str:
        """The login for a realm that `host` asks with, or why there is none."""
        reason = f"no login is known for realm {shown(realm)}"
        for login in self._logins:
            if login.realm is not None and login.realm != realm:
                if login.trusts(host):
                    reason = f"{shown(host)} asked for realm {shown(realm)}, the login is for {shown(login.realm)}"
                continue
            if not login.trusts(host):
                reason = f"{shown(host)} may not ask for the login of realm {shown(realm)}"
                continue
            return login
        return reason

    def begin(self, key: tuple[str, str], login: Login, challenge: Challenge) -> str:
        """Begin a session on a challenge; "" or why that cannot be."""
        known = challenge.known
        where = f"realm {shown(challenge.realm)}"
        if base_algorithm(known) not in AVAILABLE:
            # RFC 7616 3.3: "If the algorithm is not understood, the challenge SHOULD be ignored".
            return f"{where}: the algorithm {shown(challenge.algorithm or 'MD5')} is not known here"
        if strength(known) < strength(self._minimum):
            return f"{where}: {known} is below {self._minimum}, the weakest that is answered"
        qop = _chosen_qop(challenge)
        if qop is None:
            return f"{where}: none of the qop {shown(','.join(challenge.qop))} is known here"
        if not qop:
            if not self._legacy:
                return f"{where}: a challenge without qop is not answered"
            if known.endswith(SESSION_SUFFIX):
                # RFC 3261 22.4: "any algorithms that have a dependency on the cnonce (including "MD5-Sess") require
                # that the qop directive be sent."
                return f"{where}: {known} needs qop"
        normalise = challenge.charset is not None and challenge.charset.upper() == "UTF-8"
        secret = login.key(challenge.realm, known, normalise)
        if not secret:
            return f"{where}: the login has no key for {base_algorithm(known)}"
        if login.realm is None:
            login.realm = challenge.realm
        session = _Session(login, challenge, qop, secret, normalise)
        before = self._sessions.get(key)
        if before is not None and before.nonce == challenge.nonce:
            # The same nonce again: its count goes on.
            session.count = before.count
        self._sessions[key] = session
        return ""


class Attempt:
    """One request of the user agent, with as many resubmissions as it takes."""

    __slots__ = ("_active", "_answered", "_client", "_next_hop", "_sent", "_target")

    def __init__(self, client: DigestClient, target: str, next_hop: str) -> None:
        self._client: DigestClient = client
        self._target: str = target
        self._next_hop: str = next_hop
        self._active: list[tuple[str, str]] = []
        self._answered: dict[tuple[str, str], int] = {}
        self._sent: dict[tuple[str, str], _Sent] = {}

    def fields(self, method: str, uri: str, cnonce: str, body: bytes = b"") -> list[tuple[str, str]]:
        """The header fields for the first try, from sessions that the receivers began before; often none.

        RFC 7616 3.6: "The Authorization header field MAY be included preemptively; doing so improves server efficiency
        and avoids extra round trips". `cnonce` is a random text, new for each call.
        """
        _check_cnonce(cnonce)
        for key in self._client.sessions():
            if key not in self._active:
                self._active.append(key)
        return self._authorize(method, uri, cnonce, body)

    def answer(
        self, www: Sequence[str], proxy: Sequence[str], method: str, uri: str, cnonce: str, body: bytes = b""
    ) -> Answer:
        """What to resubmit with after a 401 or 407 with these WWW-Authenticate and Proxy-Authenticate values.

        A proxy that forks collects the challenges of several branches in one response (RFC 3261 22.3); each realm is
        answered once. `uri` is the Request-URI of the resubmission, `cnonce` a random text that was not used before.
        """
        _check_cnonce(cnonce)
        refused: list[str] = []
        asked = _by_realm(AUTHORIZATION, www, refused)
        asked.update(_by_realm(PROXY_AUTHORIZATION, proxy, refused))
        progress = False
        for key in asked:
            if self._take_up(key, asked[key], refused):
                progress = True
                if key not in self._active:
                    self._active.append(key)
            elif key in self._active:
                self._active.remove(key)
        if not progress:
            # RFC 8760 2.4: "If the UAC cannot respond to any of the challenges in the response, then it SHOULD abandon
            # attempts to send the request".
            return Answer([], refused)
        return Answer(self._authorize(method, uri, cnonce, body), refused)

    def accepted(self, name: str, value: str, body: bytes = b"") -> Proof:
        """Take in an Authentication-Info or Proxy-Authentication-Info field of the final response; `body` is its body.

        A next nonce is taken over unless the server's proof is wrong. Raises ParseError.
        """
        info = parse_authentication_info(value)
        sent = self._confirmed(PROXY_AUTHORIZATION if name.lower().startswith("proxy-") else AUTHORIZATION, info)
        if sent is None:
            return Proof.ABSENT
        if info.rspauth and not hmac.compare_digest(octets(sent.rspauth(body)), octets(info.rspauth)):
            return Proof.WRONG
        if info.nextnonce and sent.session.nonce == sent.credentials.nonce:
            # "If the nextnonce field is present, the client SHOULD use it when constructing the Authorization header
            # field for its next request."
            sent.session.renew(info.nextnonce)
        return Proof.GIVEN if info.rspauth else Proof.ABSENT

    def _asker(self, key: tuple[str, str]) -> str:
        # RFC 3261 22.1: "proxies MUST NOT" use 401, so it is the Request-URI's host that asks with it.
        return self._next_hop if key[0] == PROXY_AUTHORIZATION else self._target

    def _take_up(self, key: tuple[str, str], challenges: list[Challenge], refused: list[str]) -> bool:
        """Begin a session on the first of a realm's challenges that can be answered; False with reasons if none can."""
        realm = key[1]
        before = self._answered.get(key, 0)
        if before:
            sent = self._sent[key]
            challenges = self._excused(sent, challenges)
            if not challenges or before >= MOST_ANSWERS:
                # RFC 3261 22.1: "A UAC MUST NOT re-attempt requests with the credentials that have just been rejected".
                self._client.forget(key, sent.session)
                what = "keeps changing its nonce" if challenges else "refused the credentials that it was given"
                refused.append(f"realm {shown(realm)} {what}")
                return False
        login = self._client.login(realm, self._asker(key))
        if isinstance(login, str):
            refused.append(login)
            return False
        for challenge in challenges:
            # RFC 8760 2.4: "it SHOULD use the topmost header field that it supports unless a local policy dictates
            # otherwise. The client MUST ignore any challenge it does not understand."
            reason = self._client.begin(key, login, challenge)
            if not reason:
                self._answered[key] = before + 1
                return True
            refused.append(reason)
        return False

    def _excused(self, sent: _Sent, challenges: list[Challenge]) -> list[Challenge]:
        """Those challenges that came although the password may be right: with a new nonce instead of a stale one.

        Requests that share a nonce can overtake each other. The one that comes late has a count that no longer rises
        and is refused as a replay, without stale: it too gets one more try, on a nonce of its own.
        """
        fresh = [challenge for challenge in challenges if challenge.nonce != sent.credentials.nonce]
        return fresh if sent.crossed() else [challenge for challenge in fresh if challenge.stale]

    def _authorize(self, method: str, uri: str, cnonce: str, body: bytes) -> list[tuple[str, str]]:
        fields: list[tuple[str, str]] = []
        for key in self._active:
            session = self._client.session(key)
            if session is not None and session.login.trusts(self._asker(key)):
                sent = session.authorize(method, uri, cnonce, body)
                self._sent[key] = sent
                fields.append((key[0], sent.credentials.write()))
        return fields

    def _confirmed(self, header: str, info: AuthenticationInfo) -> _Sent | None:
        """The credentials that `info` is about: by count and cnonce, or because there are no others."""
        candidates: list[_Sent] = []
        for key in self._active:
            sent = self._sent.get(key)
            if sent is not None and key[0] == header:
                # "The cnonce value and nc value MUST be the ones for the client request to which this message is the
                # response."
                if not info.nc or (info.nc == sent.credentials.nc and info.cnonce == sent.credentials.cnonce):
                    candidates.append(sent)
        return candidates[0] if len(candidates) == 1 else None


def _chosen_qop(challenge: Challenge) -> str | None:
    """The qop to answer with; "" when the challenge has no qop, None when it has none that is known."""
    if not challenge.qop:
        return ""
    # auth before auth-int: elements on the way may rewrite bodies. "Unrecognized options MUST be ignored." (7616 3.3)
    if "auth" in challenge.qop:
        return "auth"
    return "auth-int" if "auth-int" in challenge.qop else None


def _by_realm(header: str, values: Sequence[str], refused: list[str]) -> dict[tuple[str, str], list[Challenge]]:
    """The Digest challenges among `values`, in their order, by (header that answers, realm)."""
    found: dict[tuple[str, str], list[Challenge]] = {}
    for value in values[:MOST_CHALLENGES]:
        try:
            challenge = parse_challenge(value)
        except ParseError as error:
            refused.append(f"a challenge cannot be read: {error.reason}")
            continue
        if challenge is None:
            # RFC 8760 2.6: "SIP clients and servers MUST NOT accept or request Basic authentication."
            refused.append(f"not a Digest challenge: {shown(value.partition(' ')[0])}")
            continue
        found.setdefault((header, challenge.realm), []).append(challenge)
    return found


def _check_cnonce(cnonce: str) -> None:
    if not cnonce:
        raise LocalError("a digest answer needs a cnonce: a random text, new each time")


def _plain_host(host: str) -> str:
    """The host in lower case, without brackets and final dot."""
    host = host.lower()
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1]
    return host.rstrip(".")
