"""Questions to name servers (RFC 1035), by way of dnspython."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.rrset

from ringback.errors import ConfigurationError
from ringback.sip.locate import Answer, Failure, Naptr, Question, Srv

#: Seconds for which one question may wait for its answer.
TIMEOUT: Final = 5.0
#: How long a failure is kept, in seconds: while DNS is down, few calls wait for it and the others fail at once.
FAILURE_KEPT: Final = 5.0
#: Records of one answer that are looked at.
MOST_RECORDS: Final = 256

_RDATA_TYPES: Final = {
    "A": dns.rdatatype.A, "AAAA": dns.rdatatype.AAAA, "NAPTR": dns.rdatatype.NAPTR, "SRV": dns.rdatatype.SRV,
}  # fmt: skip


class Reply(NamedTuple):
    """An answer and the seconds for which it holds; 0 or less: for this once."""

    answer: Answer
    ttl: float


class NameServers:
    """Asks name servers, through dnspython.

    nameservers  (address, port) of each; None: those of the system (/etc/resolv.conf)
    timeout      seconds for one question, over all servers and repetitions
    """

    def __init__(self, nameservers: Sequence[tuple[str, int]] | None = None, timeout: float = TIMEOUT) -> None:
        if timeout <= 0:
            raise ConfigurationError(f"the DNS timeout has to be above 0 seconds, not {timeout}")
        if nameservers is not None:
            self._resolver = dns.asyncresolver.Resolver(configure=False)
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in nameservers]
        else:
            try:
                self._resolver = dns.asyncresolver.Resolver()
            except dns.resolver.NoResolverConfiguration:
                # resolv.conf(5): "If this file does not exist, only the name server on the local machine will be
                # queried".
                self._resolver = dns.asyncresolver.Resolver(configure=False)
                self._resolver.nameservers = ["127.0.0.1"]
        self._resolver.lifetime = timeout
        # A lost datagram is repeated twice before the time is over.
        self._resolver.timeout = timeout / 3
        self._backend = dns.asyncbackend.get_backend("asyncio")

    async def ask(self, question: Question) -> Reply:
        """Ask once; a truncated answer is asked for again over TCP."""
        try:
            name = dns.name.from_text(question.name, dns.name.root)
        except (dns.exception.DNSException, UnicodeError):
            # What cannot be a name has no records.
            return Reply((), 0.0)
        try:
            found = await self._resolver.resolve(
                name, _RDATA_TYPES[question.kind], raise_on_no_answer=False, search=False, backend=self._backend
            )
        except dns.resolver.NXDOMAIN as error:
            return Reply((), _negative_ttl(cast(Any, error).response(name)))
        except dns.resolver.LifetimeTimeout:
            return Reply(Failure("no name server has answered"), FAILURE_KEPT)
        except dns.exception.DNSException as error:
            return Reply(Failure(_one_line(error)), FAILURE_KEPT)
        if found.rrset is None:
            return Reply((), _negative_ttl(found.response))
        return Reply(_records(question.kind, found.rrset), float(found.chaining_result.minimum_ttl))


def _records(kind: str, rrset: dns.rrset.RRset) -> tuple[Naptr | Srv | str, ...]:
    records: list[Naptr | Srv | str] = []
    for data in list(rrset)[:MOST_RECORDS]:
        if kind == "NAPTR":
            flags, service, regexp = [
                text.decode("utf-8", "replace") for text in (data.flags, data.service, data.regexp)
            ]
            replacement = data.replacement.to_text(omit_final_dot=True)
            records.append(Naptr(data.order, data.preference, flags, service, regexp, replacement))
        elif kind == "SRV":
            records.append(Srv(data.priority, data.weight, data.port, data.target.to_text(omit_final_dot=True)))
        else:
            records.append(data.address)
    return tuple(records)


def _negative_ttl(response: dns.message.Message) -> float:
    """How long the absence of a record holds (RFC 2308 section 5): the lesser of the SOA's own TTL and its MINIMUM.

    Without an SOA it holds for this once.
    """
    for rrset in response.authority:
        if rrset.rdtype == dns.rdatatype.SOA:
            return float(min(rrset.ttl, rrset[0].minimum))
    return 0.0


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
