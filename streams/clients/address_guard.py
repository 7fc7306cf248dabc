"""Which addresses media may be fetched from: the public internet, and the hosts that the operator allows by name.

A host is resolved here, its addresses are judged here, and exactly these are handed to the connection: a name that changes its
address after the check (DNS rebinding) gains nothing.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

from processors.errors import ContentError, HealableError, Reason

__all__ = ["AddressGuard", "GuardedResolver", "Lookup", "is_public", "system_lookup"]

# What the ipaddress module of some supported Python takes for global, or what carries an IPv4 address inside.
_REFUSED_V4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890); 192.0.0.192 is a cloud's metadata service
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "168.63.129.16/32",  # Azure's platform service, a public number that never leaves the host
    )
)
_GLOBAL_UNICAST_V6: Final = ipaddress.IPv6Network("2000::/3")  # all that IANA has given out (RFC 4291, section 2.4)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_REFUSED_V6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: any IPv4 address, reached through a relay
        "3fff::/20",  # documentation (RFC 9637)
    )
)

# Such a host is an IPv4 address or nothing (WHATWG URL standard, "ends in a number checker").
_ENDS_IN_A_NUMBER: Final = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?$")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")

Lookup = Callable[[str, int], Awaitable[list[str]]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether this IPv4 or IPv6 address, in its usual notation, is one of the public internet. ValueError if it is no address.

    Private, loopback, link-local, multicast, unspecified, reserved and cloud metadata addresses are not, nor is an IPv6 address
    that stands for such an IPv4 address (mapped or NAT64).
    """
    return _public(ipaddress.ip_address(address))


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        return _public_v6(address)
    return address.is_global and not address.is_multicast and not any(address in network for network in _REFUSED_V4)


def _public_v6(address: ipaddress.IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    if address.ipv4_mapped is not None:
        return _public(address.ipv4_mapped)
    if address in _NAT64:
        return _public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _GLOBAL_UNICAST_V6 and address.is_global and not any(address in network for network in _REFUSED_V6)


async def system_lookup(host: str, port: int) -> list[str]:
    """The addresses of a host by the system's resolver, in its order. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class AddressGuard:
    """allowed: hosts, or host:port, of the operator's own stores, which may have any address.

    An IPv6 address with a port is written [address]:port.
    """

    def __init__(self, allowed: Iterable[str], lookup: Lookup = system_lookup) -> None:
        self._allowed = frozenset(_host_and_port(entry) for entry in allowed if entry.strip())
        self._lookup = lookup

    def allows(self, host: str, port: int) -> bool:
        """Whether the operator has named this host: a store of his own."""
        return not {(host.lower(), None), (host.lower(), port)}.isdisjoint(self._allowed)

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses that may be connected to, all of them checked.

        Raises ContentError (ADDRESS_REFUSED) if one of them is not public, HealableError (NOT_FOUND) if there is no such host,
        OSError if the name service does not answer.
        """
        self.check_notation(host)
        try:
            found = await self._lookup(host, port)
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
                raise HealableError(Reason.NOT_FOUND, f"There is no host {host!r}.") from None
            raise
        except UnicodeError:
            raise ContentError(Reason.ADDRESS_REFUSED, f"{host!r} is no host name.") from None
        for address in found:
            self._judge(host, port, address)
        return found

    def check_literal(self, host: str, port: int) -> None:
        """Judges a host that is itself an address, in any notation. Raises ContentError (ADDRESS_REFUSED)."""
        self.check_notation(host)
        if _is_address(host):
            self._judge(host, port, host)

    def check_notation(self, host: str) -> None:
        """Refuses what is no host, and the old ways to write an IPv4 address (2130706433, 0x7f.1, 0177.0.0.1), which hide it."""
        if not _HOST.fullmatch(host):
            raise ContentError(Reason.ADDRESS_REFUSED, f"{host!r} is neither a host name nor an address.")
        if _ENDS_IN_A_NUMBER.search(host) and not _is_address(host):
            raise ContentError(Reason.ADDRESS_REFUSED, f"{host!r} is no IPv4 address as they are written today: four decimals.")

    def _judge(self, host: str, port: int, address: str) -> None:
        if self.allows(host, port) or is_public(address):
            return
        detail = f"{host!r} has the address {address}, which is not public. To allow it, add {host} to SIGNALS_ALLOWED_HOSTS."
        raise ContentError(Reason.ADDRESS_REFUSED, detail)


class GuardedResolver(AbstractResolver):
    """aiohttp's resolver, giving only addresses that the guard lets through."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AddressFamily.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await self._guard.addresses(host, port)
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _host_and_port(entry: str) -> tuple[str, int | None]:
    """host, host:port, [address]:port or a bare IPv6 address. Raises ValueError for a port that is no number."""
    host = entry.strip().lower()
    if host.startswith("["):
        host, _, port = host[1:].partition("]")
        return host, int(port[1:]) if port else None
    if host.count(":") != 1:
        return host, None
    host, _, port = host.partition(":")
    return host, int(port)
