"""DNS for `ringback.sip.locate`: the questions of a search are answered by the hosts file, a cache or name servers.

    resolver = Resolver(NameServers(), supported=("UDP", "TCP", "TLS"))
    destinations = await resolver.locate(uri)

What is known is answered without suspension: a coroutine that is stepped by hand ends in its first step when all its
answers are in the cache. Whatever is asked of DNS is bounded: in time, in questions that are on their way at once, in
questions that wait for their turn, and in answers that are kept. A question that is on its way is not asked twice.

Names of the hosts file are the machine's own: they have the addresses that stand there, and no NAPTR or SRV records.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from ringback.errors import ConfigurationError
from ringback.net.nameserver import FAILURE_KEPT, TIMEOUT, NameServers, Reply
from ringback.sip.grammar import is_ipv4, is_ipv6, shown
from ringback.sip.locate import (
    Answer,
    Choose,
    Destination,
    Failure,
    Locatable,
    LocateError,
    Question,
    Search,
    Target,
    locate,
    locate_response,
)
from ringback.sip.transport import SECURE, Flow
from ringback.sip.uri import Uri

#: Seconds after which a search asks DNS no more questions; those that the cache can answer go on.
PATIENCE: Final = 10.0
#: Answers that are kept.
CAPACITY: Final = 8192
#: Questions that are on their way to the name servers at once; each takes a socket.
CONCURRENCY: Final = 64
#: Questions that are on their way or wait for their turn; more fail at once.
MOST_WAITING: Final = 1024

#: The longest that an answer is kept, in seconds, whatever its time to live.
LONGEST: Final = 86400.0
#: The longest that the absence of a record is kept: whoever adds it does not want to wait for hours.
LONGEST_ABSENCE: Final = 300.0

Asker = Callable[[Question], Coroutine[Any, Any, Reply]]


def choose(most: int) -> int:
    """A random number of 0 … `most`."""
    return secrets.randbelow(most + 1)


# The hosts file -------------------------------------------------------------------------------------------------------


def read_hosts(path: str = "/etc/hosts") -> dict[str, tuple[str, ...]]:
    """The addresses of each name in a hosts file, names in lower case; empty when there is no such file.

    Raises ConfigurationError when it is there and cannot be read.
    """
    found: dict[str, list[str]] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                address, *names = line.partition("#")[0].split() or [""]
                if is_ipv4(address) or is_ipv6(address):
                    for name in names:
                        found.setdefault(name.lower().rstrip("."), []).append(address)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    return {name: tuple(dict.fromkeys(addresses)) for name, addresses in found.items()}


def _host_of(question: Question) -> str:
    """The host that a question is about: for an SRV name what follows _service._proto."""
    if question.kind == "SRV" and question.name.startswith("_"):
        return question.name.split(".", 2)[-1]
    return question.name


# The resolver ---------------------------------------------------------------------------------------------------------


class _Query:
    """A question on its way, and those who wait for its answer."""

    __slots__ = ("task", "waiters")

    def __init__(self) -> None:
        self.waiters: list[asyncio.Future[Answer]] = []
        self.task: asyncio.Task[None] | None = None

    def finish(self, answer: Answer) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(answer)


class Resolver:
    """Locates SIP servers, and remembers what DNS said for as long as it holds.

    ask        what asks DNS: `NameServers`, or a coroutine function like its `ask`
    supported  the transports that we have, most preferred first
    families   the address families that we have (4, 6), preferred first
    clock      monotonic seconds, by which answers grow old
    choose     gives one of 0 … n at random
    hosts      addresses by name; None: those of /etc/hosts
    on_failure told of each URI that `flows` could not locate, and why
    """

    def __init__(
        self,
        ask: NameServers | Asker,
        *,
        supported: Sequence[str] = ("UDP", "TCP", "TLS"),
        families: Sequence[int] = (4, 6),
        clock: Callable[[], float] = time.monotonic,
        choose: Choose = choose,
        hosts: Mapping[str, Sequence[str]] | None = None,
        on_failure: Callable[[Uri, LocateError], None] | None = None,
        timeout: float = TIMEOUT,
        patience: float = PATIENCE,
        capacity: int = CAPACITY,
        concurrency: int = CONCURRENCY,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        if min(capacity, concurrency, most_waiting) < 1 or timeout <= 0:
            raise ConfigurationError("the bounds of the resolver have to be above 0")
        self._ask: Asker = ask.ask if isinstance(ask, NameServers) else ask
        self._supported: tuple[str, ...] = tuple(supported)
        self._families: tuple[int, ...] = tuple(families)
        self._clock: Callable[[], float] = clock
        self._choose: Choose = choose
        self._hosts: Mapping[str, Sequence[str]] = read_hosts() if hosts is None else hosts
        self._on_failure: Callable[[Uri, LocateError], None] | None = on_failure
        self._timeout: float = timeout
        self._patience: float = patience
        self._capacity: int = capacity
        self._most_waiting: int = most_waiting
        self._slots: asyncio.Semaphore = asyncio.Semaphore(concurrency)
        self._kept: OrderedDict[Question, tuple[Answer, float]] = OrderedDict()
        self._queries: dict[Question, _Query] = {}
        self._closed: bool = False
        #: Questions that were asked of DNS, and those that were not because the answer was known.
        self.asked: int = 0
        self.hits: int = 0

    # searches --------------------------------------------------------------------------------------------------------

    async def locate(self, target: Locatable, *, supported: Sequence[str] | None = None) -> list[Destination]:
        """The destinations of a request (RFC 3263 section 4). Raises LocateError.

        `target` is a `Uri` whose maddr parameter, if any, the caller has seen to, or a `Target`; `supported` replaces
        our transports, for a request that cannot use all of them.
        """
        transports = self._supported if supported is None else supported
        return await self._run(locate(target, supported=transports, choose=self._choose, families=self._families))

    async def locate_response(self, transport: str, host: str, port: int | None) -> list[Destination]:
        """The destinations of a response that cannot go back as its request came (section 5). Raises LocateError."""
        return await self._run(
            locate_response(transport, host, port, choose=self._choose, families=self._families)
        )

    async def flows(self, uri: Uri) -> list[Flow]:
        """Flows to the destinations of `uri`, for `Endpoint`; none when it leads nowhere (`on_failure` is told why)."""
        # RFC 3263 section 4: "We define TARGET as the value of the maddr parameter of the URI, if present, otherwise,
        # the host value of the hostport component of the URI."
        host = uri.parameters.get("maddr") or uri.host
        try:
            destinations = await self.locate(Target(uri.scheme, host, uri.port, uri.transport))
        except LocateError as error:
            if self._on_failure is not None:
                self._on_failure(uri, error)
            return []
        return [flow_to(destination) for destination in destinations]

    async def _run(self, search: Search) -> list[Destination]:
        begun = self._clock()
        try:
            question = next(search)
            while True:
                answer = self.known(question)
                if answer is None:
                    if self._clock() - begun > self._patience:
                        answer = Failure(f"DNS took more than {self._patience:g} s")
                    else:
                        answer = await self.ask(question)
                question = search.send(answer)
        except StopIteration as stop:
            destinations: list[Destination] = stop.value
            return destinations
        finally:
            search.close()

    # questions -------------------------------------------------------------------------------------------------------

    def known(self, question: Question) -> Answer | None:
        """The answer when the hosts file or the cache has it, else None."""
        local = self._local(question)
        if local is not None:
            return local
        kept = self._kept.get(question)
        if kept is None:
            return None
        answer, expires = kept
        if expires <= self._clock():
            del self._kept[question]
            return None
        self._kept.move_to_end(question)
        self.hits += 1
        return answer

    async def ask(self, question: Question) -> Answer:
        """The answer to a question, from DNS if need be; a Failure when DNS does not give one."""
        question = Question(question.kind, question.name.lower())
        answer = self.known(question)
        if answer is not None:
            return answer
        if self._closed:
            return Failure("the resolver is closed")
        query = self._queries.get(question)
        loop = asyncio.get_running_loop()
        if query is None:
            if len(self._queries) >= self._most_waiting:
                return Failure(f"{len(self._queries)} other questions wait for DNS")
            query = self._queries[question] = _Query()
            query.task = loop.create_task(self._query(question, query), name=f"dns {question.kind} {question.name}")
        # A future for each who waits: one that is cancelled disturbs no other.
        waiter: asyncio.Future[Answer] = loop.create_future()
        query.waiters.append(waiter)
        return await waiter

    async def _query(self, question: Question, query: _Query) -> None:
        """Ask DNS, keep the answer, wake those who wait."""
        reply = Reply(Failure("the resolver is closed"), 0.0)
        try:
            # The time counts from here, waiting for a free place included: a queue of any length fails at once.
            async with asyncio.timeout(self._timeout), self._slots:
                self.asked += 1
                reply = await self._ask(question)
        except TimeoutError:
            reply = Reply(Failure(f"no answer within {self._timeout:g} s"), FAILURE_KEPT)
        except Exception as error:
            reply = Reply(Failure(f"asking DNS failed: {type(error).__name__}"), FAILURE_KEPT)
            context = {"message": f"asking DNS for {question.kind} {shown(question.name)} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
        finally:
            del self._queries[question]
            self._keep(question, reply)
            query.finish(reply.answer)

    def _keep(self, question: Question, reply: Reply) -> None:
        longest = LONGEST if reply.answer and not isinstance(reply.answer, Failure) else LONGEST_ABSENCE
        ttl = min(reply.ttl, longest)
        # RFC 1035 3.2.1: "Zero values are interpreted to mean that the RR can only be used for the transaction in
        # progress, and should not be cached."
        if ttl > 0:
            self._kept[question] = (reply.answer, self._clock() + ttl)
            self._kept.move_to_end(question)
            if len(self._kept) > self._capacity:
                # What was used longest ago goes first.
                self._kept.popitem(last=False)

    def _local(self, question: Question) -> Answer | None:
        """What the hosts file says; None when the name is not in it."""
        host = _host_of(question)
        addresses = self._hosts.get(host)
        if addresses is None:
            # "localhost" and all below it are the loopback addresses, whatever DNS says (RFC 6761 6.3).
            if host != "localhost" and not host.endswith(".localhost"):
                return None
            addresses = ("127.0.0.1", "::1")
        if question.kind == "A":
            return tuple([address for address in addresses if ":" not in address])
        if question.kind == "AAAA":
            return tuple([address for address in addresses if ":" in address])
        return ()

    # life ------------------------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Empty the cache."""
        self._kept.clear()

    async def close(self) -> None:
        """Give up all that is on its way; those who wait get a Failure."""
        self._closed = True
        tasks = [query.task for query in self._queries.values() if query.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A task that was cancelled before its first step has told nobody.
        for query in self._queries.values():
            query.finish(Failure("the resolver is closed"))
        self._queries.clear()


def flow_to(destination: Destination, local: str = "") -> Flow:
    """The flow to a destination; it names the domain only where the peer can prove it, over TLS."""
    name = destination.name if destination.transport in SECURE else ""
    return Flow(destination.transport, local, destination.host, destination.port, 0, name)
