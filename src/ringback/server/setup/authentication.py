"""Who sends a request has to prove it (RFC 3261 section 22, RFC 7616, RFC 8760).

    request                                              what happens
    ---------------------------------------------------  ---------------------------------------------------------------
    ACK, CANCEL                                          on: they are never challenged (22.1)
    within a dialog that went through here               on: its Route carries a token of ours
    from a trusted network                               on, `trusted`
    from another domain, to a user of ours               on without a name, when outsiders are allowed
    without credentials for our realm                    challenged: 401 a REGISTER, 407 all others
    with a nonce that is old, used or not ours           challenged, stale=true
    with a wrong password, or for no account of ours     challenged; the same answer, and the same work
    with the right one, in another's name                403
    with the right one                                   on, `user`

What has proved nothing yet is answered without state (`turn_away`). A nonce carries the address that it was given to: a
wrong password is charged to that address, whatever address the request claims to come from.

Credentials for our realms are taken off before a request goes on: nobody behind us learns a digest of our users. So are
assertions of identity that only trusted elements may make (RFC 3325 section 5), and hints at one (section 6: "The proxy
MUST remove the user-provided P-Preferred-Identity header from any message it forwards").
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from typing import Final

from ringback.errors import ParseError, StoreError
from ringback.server.app import Application, Rest, ServerTransaction
from ringback.server.setup.identity import Domains, Networks, is_anonymous, source_key
from ringback.server.setup.limits import PasswordGuard
from ringback.server.stateless import turn_away
from ringback.sip.digest import parse_credentials
from ringback.sip.digest_server import Authenticator, Claim, Outcome, UserKeys, Verdict, may_challenge
from ringback.sip.headers import parse_name_addr
from ringback.sip.message import Headers, Request
from ringback.sip.route import Self
from ringback.sip.status import warning
from ringback.sip.transport import Flow
from ringback.sip.uri import Uri, parse_uri
from ringback.store.base import AccountRow, AccountStore, EmbeddedAccounts

# What happened, in the words of Asterisk's security events, which fail2ban and others know.
CHALLENGE_SENT: Final = "ChallengeSent"
SUCCESSFUL: Final = "SuccessfulAuth"
INVALID_ACCOUNT: Final = "InvalidAccountID"
INVALID_PASSWORD: Final = "InvalidPassword"
#: A nonce that is old, used or not ours; a digest made for another request.
RESPONSE_FAILED: Final = "ChallengeResponseFailed"
#: Too many wrong passwords before, or somebody who is known asks for what is another's.
FAILED_ACL: Final = "FailedACL"
BAD_FORMAT: Final = "RequestBadFormat"
#: Those that tell of an attack or a mistake; the other two are everyday life.
FAILURES: Final = frozenset((INVALID_ACCOUNT, INVALID_PASSWORD, RESPONSE_FAILED, FAILED_ACL, BAD_FORMAT))

#: Is told one of the events, the flow that the request came by, the account ("user@domain", "" for none) and why.
Observer = Callable[[str, Flow, str, str], None]

#: The random part of a nonce's token; the key of the source follows it.
_RANDOM: Final = 8
#: Around the token of a nonce: when it was issued, and its MAC.
_BEFORE: Final = 6 + _RANDOM
_AFTER: Final = 16
_ASSERTED: Final = frozenset(("p-asserted-identity", "p-preferred-identity", "remote-party-id"))
#: Headers that may have to be taken off.
_TOUCHED: Final = frozenset(("authorization", "proxy-authorization", *_ASSERTED))
#: As much work for somebody who does not exist as for one who does.
_NOBODY: Final = (("MD5", ""), ("SHA-256", ""), ("SHA-512-256", ""))
#: An account whose name is the user part of its URI as it stands.
_PLAIN_ACCOUNT: Final = re.compile(r"[A-Za-z0-9\-_.!~*'()&=+$,]++@[a-z0-9.\-]++\Z")


class _Proof:
    """What a sender brings to prove who he is, and the account and the source that it counts for."""

    __slots__ = ("account", "claim", "domain", "realm", "registration", "source")

    def __init__(self, claim: Claim, domain: str, realm: str, registration: bool) -> None:
        self.claim: Claim = claim
        self.domain: str = domain
        self.realm: str = realm
        self.registration: bool = registration
        self.account: str = f"{claim.user}@{domain}"
        self.source: bytes = claim.raw[_BEFORE:-_AFTER]


class Authentication:
    """The layer that knows who sends.

    accounts       who there is
    authenticator  makes challenges and judges answers; its algorithms should be none below `minimum`
    domains        those that are served, the main one first
    realm          the realm of all accounts, "" for one realm a domain, named like it
    trusted        networks whose requests need no credentials
    guard          slows down wrong passwords, or None
    outsiders      whether others than users of ours may send requests to users of ours
    registration   whether REGISTER needs credentials; calls: whether all others do
    minimum        the weakest algorithm that is accepted
    observer       is told each outcome (`FAILURES` are those to log), or None
    wall           seconds since the epoch; token: that many random octets
    """

    __slots__ = (
        "_embedded",
        "_marks",
        "accounts",
        "authenticator",
        "calls",
        "domains",
        "guard",
        "inner",
        "minimum",
        "observer",
        "outsiders",
        "realm",
        "registration",
        "token",
        "trusted",
        "wall",
    )

    def __init__(
        self,
        inner: Application,
        accounts: AccountStore,
        authenticator: Authenticator,
        domains: Sequence[str],
        realm: str = "",
        trusted: Networks | None = None,
        guard: PasswordGuard | None = None,
        outsiders: bool = False,
        registration: bool = True,
        calls: bool = True,
        minimum: str = "MD5",
        observer: Observer | None = None,
        wall: Callable[[], float] = time.time,
        token: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Raises ConfigurationError when `domains` is empty."""
        self.inner: Application = inner
        self.accounts: AccountStore = accounts
        self.authenticator: Authenticator = authenticator
        self.domains: Domains = Domains(domains)
        self.realm: str = realm
        self.trusted: Networks = Networks([]) if trusted is None else trusted
        self.guard: PasswordGuard | None = guard
        self.outsiders: bool = outsiders
        self.registration: bool = registration
        self.calls: bool = calls
        self.minimum: str = minimum
        self.observer: Observer | None = observer
        self.wall: Callable[[], float] = wall
        self.token: Callable[[int], bytes] = token
        self._embedded: EmbeddedAccounts | None = accounts if isinstance(accounts, EmbeddedAccounts) else None
        #: How credentials for a realm of ours look in nearly every request.
        realms = [realm] if realm else list(self.domains.names)
        self._marks: tuple[str, ...] = tuple([f'realm="{name}"' for name in realms])

    def __call__(self, transaction: ServerTransaction) -> Rest:
        """Let a request on, or answer it."""
        request = transaction.request
        route = transaction.route
        if route.in_dialog and not request.to_tag:
            # A token proves that a dialog went through here. What has no To tag begins another one (12.1), and whoever
            # kept the token of an old call could call anybody with it.
            route.in_dialog = False
        if self.trusted.contains(transaction.flow.host):
            transaction.trusted = True
        elif not route.in_dialog and may_challenge(request.method) and not self._is_open(transaction):
            return self._prove(transaction)
        return self._pass(transaction)

    def _pass(self, transaction: ServerTransaction) -> Rest:
        """Let a request on, without what must not go on."""
        if not _TOUCHED.isdisjoint(transaction.request.names):
            self._clean(transaction.request, transaction.trusted)
        return self.inner(transaction)

    # who may pass without a name -------------------------------------------------------------------------------------

    def _is_open(self, transaction: ServerTransaction) -> bool:
        """Whether this request needs no credentials, wherever it comes from."""
        request = transaction.request
        if self._is_registration(transaction):
            return not self.registration
        if not self.calls:
            return True
        if not self.outsiders or transaction.route.next or "proxy-authorization" in request.names:
            return False
        # A stranger may call users of ours, and nobody else through us; and he may not call himself one of them.
        element = transaction.stack.element
        target = request.target
        if request.method == "REGISTER" or not target.is_sip or not target.user or not element.serves(target):
            return False
        return not self.domains.domain_of(request.from_.uri, element)

    def _is_registration(self, transaction: ServerTransaction) -> bool:
        """Whether this is a REGISTER for the registrar here."""
        request = transaction.request
        return request.method == "REGISTER" and transaction.stack.element.serves(request.target)

    # proof -----------------------------------------------------------------------------------------------------------

    def _prove(self, transaction: ServerTransaction) -> Rest:
        """Let a request on whose sender proves who he is, answer any other."""
        proof = self._claimed(transaction)
        if proof is None:
            return None
        if self._embedded is None:
            return self._prove_later(transaction, proof)
        try:
            row = self._embedded.peek(proof.claim.user, proof.domain)
        except StoreError as error:
            _unknowable(transaction, error)
            return None
        return self._pass(transaction) if self._proved(transaction, proof, row) else None

    async def _prove_later(self, transaction: ServerTransaction, proof: _Proof) -> None:
        try:
            row = await self.accounts.get(proof.claim.user, proof.domain)
        except StoreError as error:
            _unknowable(transaction, error)
            return
        if self._proved(transaction, proof, row):
            rest = self._pass(transaction)
            if rest is not None:
                await rest

    def _claimed(self, transaction: ServerTransaction) -> _Proof | None:
        """What the sender brings to be judged; None when it is nothing, and the request is answered."""
        request = transaction.request
        element = transaction.stack.element
        registration = self._is_registration(transaction)
        # 10.2: From "is equal to the value in the To header field unless the request is a third-party registration".
        domain = self._domain(request.required("to" if registration else "from"), element)
        realm = self.realm or domain
        values = request.all("authorization" if registration else "proxy-authorization")
        claim = self.authenticator.select(values, realm)
        if isinstance(claim, Verdict):
            self._not_judged(transaction, claim, realm, registration)
            return None
        proof = _Proof(claim, domain, realm, registration)
        if self.guard is not None:
            wait = self.guard.wait(proof.account, proof.source, transaction.now)
            if wait > 0.0:
                why = f"after too many wrong passwords the next is looked at in {wait:.0f} s"
                self._tell(transaction, proof.account, FAILED_ACL, why)
                turn_away(transaction, 403, "Too Many Wrong Passwords", why=why)
                return None
        return proof

    def _domain(self, value: str, element: Self) -> str:
        """The domain of ours that a From or To value claims; the main one when it claims none."""
        if value.startswith("<sip:"):
            # Most URIs end with the name of a domain of ours, which needs no reading.
            end = value.find(">")
            host = value[value.find("@") + 1 : end]
            if end > 0 and host in self.domains.names:
                return host
        return self.domains.domain_of(parse_name_addr(value).uri, element) or self.domains.main

    def _proved(self, transaction: ServerTransaction, proof: _Proof, row: AccountRow | None) -> bool:
        """Whether the sender is who he claims to be, by the account of that name; if not, the request is answered."""
        account = proof.account
        verdict = self._judge(transaction, proof.claim, row if row is not None and row.enabled else None)
        if not verdict.ok:
            self._not_right(transaction, verdict, account, proof.source, proof.realm, proof.registration)
            return False
        if self.guard is not None:
            self.guard.right(account, proof.source, transaction.now)
        why = self._pretence(transaction, account, proof.registration)
        if why:
            self._tell(transaction, account, FAILED_ACL, why)
            transaction.respond(403, headers=[warning(why)], why=f"{account}: {why}")
            return False
        transaction.user = account
        self._tell(transaction, account, SUCCESSFUL, verdict.reason)
        return True

    def _judge(self, transaction: ServerTransaction, claim: Claim, row: AccountRow | None) -> Verdict:
        request = transaction.request
        keys = UserKeys(dict(_NOBODY if row is None else row.ha1), self.minimum)
        return self.authenticator.check(
            claim,
            None if row is None else keys,
            method=request.method,
            # 22.4: "digest-uri-value = Request-URI", as the client sent it and before we took anything off.
            uri=transaction.uri,
            now=self.wall(),
            body=request.body,
            same_uri=same_resource,
        )

    def _pretence(self, transaction: ServerTransaction, account: str, registration: bool) -> str:
        """In what a request claims to be of another than `account`; "" when it does not."""
        request = transaction.request
        element = transaction.stack.element
        # What nearly everybody writes, which needs no reading; "" when the account cannot be known by its text.
        plain = f"<sip:{account}>" if _PLAIN_ACCOUNT.match(account) is not None else ""
        sender = request.required("from")
        if registration:
            to = request.required("to")
            if not (plain and to.startswith(plain)) and (
                self.domains.account_of(parse_name_addr(to).uri, element) != account
            ):
                # 10.3 step 4: "If the authenticated user is not authorized to modify bindings, the registrar MUST
                # return a 403 (Forbidden)".
                return "To is not the address of record of this account"
        if plain and sender.startswith(plain):
            return ""
        uri = parse_name_addr(sender).uri
        if not registration and is_anonymous(uri):
            return ""
        if self.domains.account_of(uri, element) != account:
            return "From is not the address of this account"
        return ""

    # answers ---------------------------------------------------------------------------------------------------------

    def _not_judged(self, transaction: ServerTransaction, verdict: Verdict, realm: str, registration: bool) -> None:
        """Answer what carries nothing that could be judged. This depends on no account."""
        outcome = verdict.outcome
        account = f"{verdict.user}@{realm}" if verdict.user else ""
        status = verdict.status(not registration)
        if status == 401 or status == 407:
            forged = outcome is Outcome.FORGED_NONCE
            self._tell(transaction, account, RESPONSE_FAILED if forged else CHALLENGE_SENT, verdict.reason)
            # RFC 7616 3.3 on stale: "The server SHOULD only set stale to true if it receives a request for which the
            # nonce is invalid." One that is not ours may have been, before a restart.
            headers = self._challenges(transaction, realm, registration, forged)
        else:
            self._tell(transaction, account, BAD_FORMAT if status == 400 else RESPONSE_FAILED, verdict.reason)
            headers = [warning(verdict.reason)]
        turn_away(transaction, status, headers=headers, why=verdict.reason)

    def _not_right(
        self,
        transaction: ServerTransaction,
        verdict: Verdict,
        account: str,
        source: bytes,
        realm: str,
        registration: bool,
    ) -> None:
        """Answer credentials that were judged and are not good."""
        outcome = verdict.outcome
        status = verdict.status(not registration)
        event = RESPONSE_FAILED
        if outcome is Outcome.UNKNOWN_USER or outcome is Outcome.BAD_RESPONSE:
            event = INVALID_ACCOUNT if outcome is Outcome.UNKNOWN_USER else INVALID_PASSWORD
            if self.guard is not None:
                self.guard.wrong(account, source, transaction.now)
        self._tell(transaction, account, event, verdict.reason)
        if status == 401 or status == 407:
            # A replay needs a new nonce and no new password: the right password was shown before this was found.
            stale = outcome is Outcome.STALE or outcome is Outcome.REPLAYED
            headers = self._challenges(transaction, realm, registration, stale)
        else:
            headers = [warning(verdict.reason)]
        why = f"{account}: {verdict.reason}"
        if source == source_key(transaction.flow.host):
            # With state: this request coming again is no second attempt.
            transaction.respond(status, headers=headers, why=why)
        else:
            # The nonce was given to another address than this claims to come from, which may know nothing of it.
            turn_away(transaction, status, headers=headers, why=why)

    def _challenges(self, transaction: ServerTransaction, realm: str, registration: bool, stale: bool) -> Headers:
        token = self.token(_RANDOM) + source_key(transaction.flow.host)
        return self.authenticator.challenges(realm, self.wall(), token, stale=stale, proxy=not registration)

    def _tell(self, transaction: ServerTransaction, account: str, event: str, why: str) -> None:
        if self.observer is not None:
            self.observer(event, transaction.flow, account, why)

    # what does not go on ---------------------------------------------------------------------------------------------

    def _clean(self, request: Request, trusted: bool) -> None:
        """Take off what must not go on.

        22.3: "a Proxy-Authorization header field value MUST NOT be consumed by any proxy whose realm does not match":
        those for other realms stay.
        """
        position = 0
        while position < len(request.names):
            name = request.names[position]
            if name not in _TOUCHED:
                position += 1
            elif (not trusted) if name in _ASSERTED else self._is_ours(request, position):
                del request.names[position]
                del request.lines[position]
            else:
                position += 1

    def _is_ours(self, request: Request, position: int) -> bool:
        """Whether the credentials in the line at `position` are for a realm of ours."""
        line = request.lines[position]
        for mark in self._marks:
            if mark in line:
                return True
        try:
            credentials = parse_credentials(request.value_at(position))
        except ParseError:
            return False
        return credentials is not None and f'realm="{credentials.realm}"' in self._marks


def same_resource(ours: str, theirs: str) -> bool:
    """Whether the digest-uri `theirs` is for the Request-URI `ours`: the same address, however it is written.

    Clients leave out a port or parameters that they have in the Request-URI, or the other way round; what decides who
    is reached, and where, has to be the same.
    """
    try:
        first = parse_uri(ours)
        second = parse_uri(theirs)
        return first.equivalent(second) or (_place(first) == _place(second) and first.is_sip and second.is_sip)
    except ParseError:
        return False


def _place(uri: Uri) -> str:
    return f"{uri.aor()} {uri.parameters.get('maddr')}"


def _unknowable(transaction: ServerTransaction, error: StoreError) -> None:
    turn_away(transaction, 503, headers=[("Retry-After", "10")], why=str(error))
