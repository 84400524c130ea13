"""The rooms, put together as the configuration says: who registers, who is found, what is forwarded."""

from __future__ import annotations

from ringback.server.app import Application, Errors, compose
from ringback.server.capabilities.options import options
from ringback.server.location import Lookup, Registrar, Served, binding_policy
from ringback.server.runtime.storage import Storage
from ringback.server.settings import Settings
from ringback.server.setup.proxy import NextHop, Proxy, Validate
from ringback.sip.route import Self

__all__ = ["Assembly"]


class Assembly:
    """The application of one server. `configure` may be called again, with other settings, while it runs."""

    def __init__(self, settings: Settings, storage: Storage, element: Self, secret: bytes) -> None:
        self._storage = storage
        self._element = element
        self._secret = secret
        self.served = Served(settings.served, element)
        self.registrar = Registrar(storage.location, self.served, binding_policy(self.served, secret))
        self.lookup = Lookup(storage.location, self.served, secret)
        self.application: Application
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Do as these settings say from now on."""
        location = settings.location
        self.registrar.policy = binding_policy(
            self.served,
            self._secret,
            default_expires=location.default_expires,
            min_expires=location.minimum_expires,
            max_expires=location.maximum_expires,
            most_contacts=location.most_contacts,
        )
        proxy = Proxy(
            self._element,
            settings.served[0],
            self.lookup,
            self.registrar,
            options,
            [NextHop(hop.domain, hop.prefix, hop.uri) for hop in settings.setup.next_hops],
            settings.setup.relay,
        )
        self.application = compose([Errors, Validate], proxy)
