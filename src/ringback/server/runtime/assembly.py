"""The rooms, put together as the configuration says: who registers, who is found, what is forwarded."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ringback.server.app import Application, Errors, compose
from ringback.server.capabilities.options import options
from ringback.server.location import Lookup, Registrar, Served, binding_policy
from ringback.server.logs import SecurityLog
from ringback.server.runtime.storage import Storage
from ringback.server.settings import Limits as LimitSettings
from ringback.server.settings import Settings
from ringback.server.setup.authentication import FAILURES, Authentication
from ringback.server.setup.identity import Networks
from ringback.server.setup.limits import FloodGuard, Limits, PasswordGuard
from ringback.server.setup.proxy import NextHop, Proxy, Validate
from ringback.sip.digest_hash import AVAILABLE, strength
from ringback.sip.digest_server import Authenticator
from ringback.sip.route import Self
from ringback.sip.transport import Flow

__all__ = ["Assembly"]

#: RFC 5626 4.4.1 lets a client be silent for so long on a stream; an idle connection lives a little longer.
FLOW_TIMER: Final = 840


class Assembly:
    """The application of one server, as its settings ask for.

    `configure` may be called again, with other settings, while the server runs. What is not changed by them keeps what
    it knows: who floods, who tries passwords, which nonces were used.
    """

    def __init__(
        self, settings: Settings, storage: Storage, element: Self, secret: bytes, security: SecurityLog
    ) -> None:
        self._storage = storage
        self._element = element
        self._secret = secret
        self._security = security
        self._settings: Settings | None = None
        self.served = Served(settings.served, element)
        self.registrar = Registrar(storage.location, self.served, binding_policy(self.served, secret))
        self.lookup = Lookup(storage.location, self.served, secret, accounts=storage.accounts)
        self.flood: FloodGuard
        self.application: Application
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Do as these settings say from now on."""
        before = self._settings
        if before is None or before.limits != settings.limits:
            self.flood, self._passwords = _guards(settings.limits)
        if before is None or before.authentication != settings.authentication:
            self._authenticator = self._make_authenticator(settings)
        location = settings.location
        self.registrar.policy = binding_policy(
            self.served,
            self._secret,
            default_expires=location.default_expires,
            min_expires=location.minimum_expires,
            max_expires=location.maximum_expires,
            most_contacts=location.most_contacts,
            flow_timer=FLOW_TIMER,
        )
        limits = settings.limits
        self.application = compose(
            [
                Errors,
                Validate,
                self._authentication(settings),
                lambda inner: Limits(inner, limits.calls, limits.requests, limits.inward),
            ],
            Proxy(
                self._element,
                settings.served[0],
                self.lookup,
                self.registrar,
                options,
                [NextHop(hop.domain, hop.prefix, hop.uri) for hop in settings.setup.next_hops],
                settings.setup.relay,
                settings.setup.recurse,
                settings.setup.ring_seconds,
            ),
        )
        self._settings = settings

    def _make_authenticator(self, settings: Settings) -> Authenticator:
        wanted = settings.authentication
        # What is below the minimum is not offered either, and what this machine can not compute can not be.
        offered = [
            name for name in wanted.algorithms if name in AVAILABLE and strength(name) >= strength(wanted.minimum)
        ]
        return Authenticator(
            self._secret, lifetime=wanted.nonce_seconds, algorithms=offered or AVAILABLE[:1], started=time.time()
        )

    def _authentication(self, settings: Settings) -> Callable[[Application], Authentication]:
        wanted = settings.authentication
        return lambda inner: Authentication(
            inner,
            self._storage.accounts,
            self._authenticator,
            settings.served,
            realm=wanted.realm,
            trusted=Networks(wanted.trusted),
            guard=self._passwords,
            outsiders=settings.setup.outsiders == "allow",
            registration=wanted.registration,
            calls=wanted.calls,
            minimum=wanted.minimum,
            observer=self._told,
        )

    def _told(self, event: str, flow: Flow, account: str, why: str) -> None:
        if event in FAILURES:
            self._security.report(event, flow, account, why)
        else:
            self._security.count(event)


def _guards(limits: LimitSettings) -> tuple[FloodGuard, PasswordGuard]:
    exempt = Networks(limits.exempt)
    return (
        FloodGuard(limits.flood_burst, limits.flood_rate, exempt, newcomers=limits.newcomers),
        PasswordGuard(
            limits.wrong_passwords,
            longest=limits.wrong_password_longest_seconds,
            first=limits.wrong_password_seconds,
            exempt=exempt,
        ),
    )
