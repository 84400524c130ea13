"""`Server`: one SIP server in this process, from start to end."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Literal

from structlog.typing import FilteringBoundLogger

from ringback.errors import ConfigurationError, ParseError, RingbackError
from ringback.net.endpoint import Endpoint
from ringback.net.limits import StreamLimits
from ringback.net.nameserver import NameServers
from ringback.net.resolver import Resolver
from ringback.net.streams import Connections
from ringback.net.tls import ClientTls, ServerTls
from ringback.server.accounts import weak_accounts
from ringback.server.app import ServerTransaction
from ringback.server.config import load
from ringback.server.control import ControlServer
from ringback.server.entrance import Entrance
from ringback.server.logs import Bridge, SecurityLog, make_logger
from ringback.server.metrics import Metrics
from ringback.server.runtime.assembly import Assembly
from ringback.server.runtime.commands import Commands
from ringback.server.runtime.counting import register_metrics
from ringback.server.runtime.sockets import Sockets
from ringback.server.runtime.storage import open_storage
from ringback.server.runtime.upkeep import Upkeep
from ringback.server.settings import Limits, Settings, parse_place
from ringback.server.supervisor import Supervisor
from ringback.server.trace import Tracer
from ringback.sip.locate import LocateError
from ringback.sip.message import Request
from ringback.sip.route import Self
from ringback.sip.server_invite import PROCEEDING as INVITE_PROCEEDING
from ringback.sip.server_invite import ServerInvite
from ringback.sip.server_request import COMPLETED as REQUEST_COMPLETED
from ringback.sip.server_request import ServerRequest
from ringback.sip.stack import Event, Malformed, Settled, Stack
from ringback.sip.transport import SECURE, Flow
from ringback.sip.uri import Uri
from ringback.web import WebServer, make_app

__all__ = ["Server", "State", "run"]

State = Literal["new", "starting", "serving", "draining", "stopped"]

#: What can be changed while the server runs, by section; and what of it all the same only by a restart.
LIVE: Final[Mapping[str, tuple[str, ...]]] = {
    "drain_seconds": (),
    "limits": ("idle_seconds",),
    "authentication": (),
    "location": ("store", "synchronous"),
    "setup": (),
    "log": (),
}
#: Seconds until a caller may try again whose call came while the server was ending.
RETRY_AFTER: Final = 30
#: Thresholds of the cycle collector. A transaction is walked when it is young, twice, and not again in the half minute
#: that it lives: a full collection stalls all calls for as long as it takes to walk what all of them hold.
#: `Upkeep.collect` does it in calm moments. The walks before are short, 20,000 objects at most.
COLLECTOR: Final = (2_000, 10, 1_000_000)
#: Seconds between two looks at what still runs while the server ends.
DRAIN_INTERVAL: Final = 0.05
#: Seconds that connections get to send what is queued, when the server ends.
LINGER: Final = 1.0


class Server:
    """One SIP server.

        server = Server.from_toml("ringback.toml")
        await server.serve()

    state      where in its life it is
    settings   as they are in force
    """

    def __init__(
        self,
        settings: Settings,
        *,
        reload: Callable[[], Settings] | None = None,
        logger: FilteringBoundLogger | None = None,
    ) -> None:
        """`reload` gives the settings anew when they may have changed; `logger` is used instead of a configured one."""
        self.settings = settings
        self.state: State = "new"
        self.logger = logger or make_logger(settings.log)
        self._own_logger = logger is None
        self._reload = reload
        self._started_at = 0.0
        self._resources = AsyncExitStack()
        self._stopping = asyncio.Event()
        self._at_once = asyncio.Event()
        self._failure = ""

    @classmethod
    def from_toml(cls, file: str | Path, options: Mapping[str, Any] | None = None) -> Server:
        """The server that a configuration file describes. Raises ConfigurationError."""
        path = Path(file)
        return cls(load(path, options), reload=lambda: load(path, options))

    # life ------------------------------------------------------------------------------------------------------------

    async def serve(self, ready: Callable[[Server], None] | None = None) -> None:
        """Start, serve until `stop` is called or SIGTERM or SIGINT comes, and end in order; SIGHUP reloads.

        `ready` is called when everything is served. Raises RingbackError when it can not start, or fails for good.
        """
        loop = asyncio.get_running_loop()
        handled = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self.reload}
        await self.start()
        try:
            for number, handler in handled.items():
                loop.add_signal_handler(number, handler)
            if ready is not None:
                ready(self)
            await self._stopping.wait()
            await self._drain()
        finally:
            for number in handled:
                loop.remove_signal_handler(number)
            await self.close()
        if self._failure:
            raise RingbackError(self._failure)

    async def start(self) -> None:
        """Begin to serve. Raises ConfigurationError or StoreError, with nothing left open."""
        self._become("starting")
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        self._started_at = time.monotonic()
        self._become("serving")
        self.logger.info("serving", domains=", ".join(self.settings.served), at=", ".join(self.places))

    def stop(self) -> None:
        """End: the first call lets running transactions finish, a second one does not."""
        if self._stopping.is_set():
            self._at_once.set()
        self._stopping.set()

    def _become(self, state: State) -> None:
        # Only a server that has started has an entrance.
        if "serving" in (self.state, state):
            self.entrance.serving = state == "serving"
        self.state = state

    async def close(self) -> None:
        """Let go of everything, whatever it was doing."""
        self._become("stopped")
        await self._resources.aclose()

    @property
    def places(self) -> list[str]:
        """Where it listens."""
        return [listener.id for listener in self._sockets.listeners]

    # start -----------------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        settings = self.settings
        loop = asyncio.get_running_loop()
        self._bridge_logs(loop)
        self._sockets = Sockets(settings.listen)
        self._resources.callback(self._sockets.close)
        self._make_tls()
        self.metrics = Metrics()
        self.web = self._make_web()
        self.storage = await self._resources.enter_async_context(open_storage(settings))
        await self._refuse_weak_accounts()
        await self._assemble(loop)
        self.supervisor = Supervisor(self.logger, self._fail)
        self._resources.push_async_callback(self.supervisor.stop)
        register_metrics(
            self.metrics,
            self.endpoint,
            self.connections,
            self.storage,
            self.entrance.counts,
            self.security,
            self.supervisor,
        )
        self.commands = Commands(self)
        control = ControlServer(settings.data / "control.sock", self.commands.commands, self.commands.feeds)
        await control.start()
        self._resources.push_async_callback(control.stop)
        self.supervisor.start("event loop lag", self.metrics.lag.watch)
        self.supervisor.start("sweep", self.upkeep.sweep)
        self.supervisor.start("closed connections", self.upkeep.let_go)
        self.supervisor.start("floods", self.upkeep.watch_floods)
        self.supervisor.start("collector", self.upkeep.collect)
        if self.web is not None:
            self.supervisor.start("web", self.web.serve)
            self._resources.push_async_callback(self.web.stop)
        self._tune_collector()
        await self._sockets.open(self.endpoint, self.connections, self._server_tls)
        self.endpoint.sockets = self._sockets.udp

    def _bridge_logs(self, loop: asyncio.AbstractEventLoop) -> None:
        self.security = SecurityLog(self.logger)
        self._bridge = Bridge(self.logger)
        root = logging.getLogger()
        root.addHandler(self._bridge)
        self._resources.callback(root.removeHandler, self._bridge)
        before = loop.get_exception_handler()
        loop.set_exception_handler(self._loop_error)
        self._resources.callback(loop.set_exception_handler, before)

    def _make_tls(self) -> None:
        tls = self.settings.tls
        self._server_tls: ServerTls | None = None
        self._client_tls: ClientTls | None = None
        if any(listener.transport in SECURE for listener in self._sockets.listeners):
            assert tls.certificate is not None and tls.key is not None
            self._server_tls = ServerTls(
                tls.certificate, tls.key, client_authorities=tls.client_ca, require_client=tls.require_client
            )
            self._client_tls = ClientTls(tls.ca, certificate=tls.certificate, key=tls.key, verify=tls.verify)

    def _make_web(self) -> WebServer | None:
        if not self.settings.web.enabled:
            return None
        web = WebServer(make_app(self.metrics, self.health), *parse_place(self.settings.web.listen))
        self._resources.callback(web.close)
        return web

    async def _refuse_weak_accounts(self) -> None:
        weak = await weak_accounts(self.storage.accounts, self.settings.authentication.realm)
        if weak:
            raise ConfigurationError(
                f"accounts with a password that attackers try first: {', '.join(weak[:10])}"
                f"{' …' if len(weak) > 10 else ''}; give them others with `ringback user password`"
            )

    async def _assemble(self, loop: asyncio.AbstractEventLoop) -> None:
        settings = self.settings
        secret = await self.storage.secrets.secret("tokens", secrets.token_bytes(32))
        element = Self(list(settings.served), self._sockets.listeners)
        self.stack = Stack(self._sockets.listeners, element, secret, secrets.token_hex(6))
        self.stack.layer.inward = settings.limits.inward
        resolver = self._make_resolver()
        self._resources.push_async_callback(resolver.close)
        self.assembly = Assembly(settings, self.storage, element, secret, self.security)
        self.entrance = Entrance(self.stack, self.assembly.application, self._enter_slowly)
        self.endpoint = Endpoint(self.stack, loop, self.entrance.enter, resolver.flows)
        self.endpoint.admit = self.assembly.flood.admit
        self.endpoint.observer = self._observe
        self._resources.push_async_callback(self.endpoint.close)
        self._resources.callback(self._sockets.close)
        self.tracer = Tracer(self.endpoint, time.time)
        self.connections = Connections(
            on_message=self.endpoint.message,
            on_closed=self._connection_closed,
            on_failed=self.endpoint.undelivered,
            on_malformed=self._malformed,
            limits=_stream_limits(settings.limits),
            client_tls=self._client_tls,
        )
        self._resources.push_async_callback(self.connections.close, LINGER)
        self.endpoint.streams = self.connections
        self.upkeep = Upkeep(
            self.assembly.registrar,
            self.storage.location,
            self.logger,
            floods=lambda: self.assembly.flood.report(),
            running=lambda: len(self.stack.layer.servers) + len(self.stack.layer.clients),
        )

    def _make_resolver(self) -> Resolver:
        servers = [parse_place(text) for text in self.settings.dns.servers]
        families = [
            4 if ":" not in listener.id.partition(":")[2].rpartition(":")[0] else 6
            for listener in self._sockets.listeners
        ]
        return Resolver(
            NameServers(servers or None),
            supported=self.stack.layer.transports(),
            families=sorted(set(families)),
            on_failure=self._not_located,
        )

    def _not_located(self, uri: Uri, error: LocateError) -> None:
        self.logger.debug("a next hop could not be located", host=uri.host, reason=str(error))

    def _tune_collector(self) -> None:
        """Long-lived objects are walked no more, and short-lived ones less often: see docs/architecture.md."""
        before = gc.get_threshold()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECTOR)
        self._resources.callback(gc.set_threshold, *before)
        self._resources.callback(gc.unfreeze)

    # requests --------------------------------------------------------------------------------------------------------

    async def _enter_slowly(self, transaction: ServerTransaction) -> None:
        """Handle a request while somebody watches, or while the server ends."""
        request = transaction.request
        ending = self.state in ("draining", "stopped")
        if ending and request.method == "INVITE" and not request.to_tag:
            transaction.respond(503, headers=[("Retry-After", str(RETRY_AFTER))], why="the server is ending")
        else:
            rest = self.entrance.application(transaction)
            if rest is not None:
                await rest
        if transaction.decisions:
            self._decided(request, transaction.decisions)

    def _decided(self, request: Request, decisions: list[Any]) -> None:
        self.tracer.decided(request.call_id, request.method, decisions)

    def _observe(self, event: Event) -> None:
        """What the endpoint tells besides requests."""
        if isinstance(event, Settled):
            self._decided(event.context.request, event.context.decisions)
        elif isinstance(event, Malformed):
            self.security.report("RequestBadFormat", event.flow, reason=event.reason)

    # connections -----------------------------------------------------------------------------------------------------

    def _malformed(self, head: bytes, flow: Flow, error: ParseError) -> None:
        self.stack.refuse(head, flow, error)
        self.endpoint.turn()

    def _connection_closed(self, flow: Flow) -> None:
        if self.state == "serving":
            # When the server ends the bindings stay: phones come back with new connections, or their old ones expire.
            self.upkeep.closed(flow)

    # reloading -------------------------------------------------------------------------------------------------------

    def reload(self) -> list[str]:
        """Read certificates and configuration again, and do as they say; what that came to, one line each.

        Certificates or a configuration with a mistake leave what is in force as it is, and the mistake is logged. The
        two do not wait for each other: a slip in the configuration must not let a certificate run out.
        """
        said: list[str] = []
        mistakes: list[str] = []
        for part in (self._reload_certificates, self._reload_settings):
            try:
                part(said)
            except ConfigurationError as error:
                mistakes += str(error).splitlines()
        for line in said:
            self.logger.info("reloaded", what=line)
        for line in mistakes:
            self.logger.error("not reloaded", mistake=line)
        return said + [f"not reloaded: {line}" for line in mistakes]

    def _reload_certificates(self, said: list[str]) -> None:
        if self._server_tls is not None:
            self._server_tls.reload()
            said.append(f"certificates, good until {self._server_tls.not_after:%Y-%m-%d}")
        if self._client_tls is not None:
            self._client_tls.reload()

    def _reload_settings(self, said: list[str]) -> None:
        if self._reload is None:
            return
        taken, fixed = _changes(self.settings, self._reload())
        if fixed:
            said.append(f"{', '.join(fixed)}: changed only by a restart")
        if taken:
            self.settings = self.settings.model_copy(update=taken)
            self.assembly.configure(self.settings)
            self.entrance.application = self.assembly.application
            self.stack.layer.inward = self.settings.limits.inward
            self.endpoint.admit = self.assembly.flood.admit
            self.connections.configure(_stream_limits(self.settings.limits))
            said.append(f"{', '.join(taken)}: in force")
        if "log" in taken and self._own_logger:
            self.logger = make_logger(self.settings.log)
            for part in (self._bridge, self.security, self.supervisor, self.upkeep):
                part.logger = self.logger

    # the end ---------------------------------------------------------------------------------------------------------

    def unfinished(self) -> int:
        """How many requests have no final response yet."""
        count = 0
        for server in self.stack.layer.servers.values():
            if isinstance(server, ServerInvite):
                count += server.state == INVITE_PROCEEDING
            elif isinstance(server, ServerRequest):
                count += server.state < REQUEST_COMPLETED
        return count

    async def _drain(self) -> None:
        """Take no new calls, and let running transactions end, up to a time."""
        if self.state != "serving":
            return
        self._become("draining")
        loop = asyncio.get_running_loop()
        until = loop.time() + self.settings.drain_seconds
        left = self.unfinished()
        self.logger.info("ending", unfinished=left, seconds=self.settings.drain_seconds)
        while left and loop.time() < until and not self._at_once.is_set():
            await asyncio.sleep(DRAIN_INTERVAL)
            left = self.unfinished()
        if left:
            self.logger.warning("ended before all transactions were over", unfinished=left)

    def _fail(self, reason: str) -> None:
        """Background work can not go on: end at once, with an error."""
        self.logger.critical("the server gives up", reason=reason)
        self._failure = reason
        self._at_once.set()
        self._stopping.set()

    def _loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What nobody else has caught."""
        self.logger.error(context.get("message", "an error in the event loop"), exc_info=context.get("exception"))

    # what others ask -------------------------------------------------------------------------------------------------

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether new calls are taken, and for how many seconds they have been."""
        seconds = round(time.monotonic() - self._started_at) if self._started_at else 0
        return self.state == "serving", {"state": self.state, "seconds": seconds}


def _changes(old: Settings, new: Settings) -> tuple[dict[str, Any], list[str]]:
    """What can be in force at once of what is new, by name; and the keys that are new and need a restart."""
    taken: dict[str, Any] = {}
    fixed: list[str] = []
    for name in Settings.model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if name not in LIVE:
            fixed.append(name)
            continue
        kept = {key: getattr(before, key) for key in LIVE[name] if getattr(before, key) != getattr(after, key)}
        fixed += [f"{name}.{key}" for key in kept]
        if kept:
            after = after.model_copy(update=kept)
        if before != after:
            taken[name] = after
    return taken, fixed


def _stream_limits(limits: Limits) -> StreamLimits:
    return StreamLimits(
        connections=limits.connections,
        connections_per_source=limits.connections_per_address,
        exempt=limits.exempt,
        largest_head=limits.largest_head,
        largest_message=limits.largest_message,
        idle_seconds=limits.idle_seconds,
    )


def run(server: Server, ready: Callable[[Server], None] | None = None) -> None:
    """Serve in this thread, on uvloop where it is installed. Raises as `serve` does."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(server.serve(ready))
    else:
        uvloop.run(server.serve(ready))
