import socket
from collections.abc import Sequence

import pytest

from processors.errors import ContentError, HealableError, Reason
from streams.clients.address_guard import AddressGuard, GuardedResolver, is_public, system_lookup

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",  # a cloud's metadata service
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # Azure's platform service
    "169.254.169.254",  # metadata service of most clouds
    "169.254.170.2",  # task metadata
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # a cloud's metadata service
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata service over IPv6
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1111%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "172.32.0.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address: str) -> None:
    """Nothing but the public internet is public, however the address is wrapped."""
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    """Addresses of the public internet are public, also in IPv6's forms of IPv4."""
    assert is_public(address)


class Names:
    """A name service that says what it is told, and counts."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.addresses


async def test_a_name_with_one_private_address_is_refused() -> None:
    """One bad address among good ones spoils the name; the message says which, and what to do."""
    guard = AddressGuard([], Names(["8.8.8.8", "10.1.2.3"]))
    with pytest.raises(ContentError, match=r"10\.1\.2\.3.*SIGNALS_ALLOWED_HOSTS") as raised:
        await guard.addresses("media.example", 80)
    assert raised.value.reason is Reason.ADDRESS_REFUSED


async def test_the_connection_gets_the_addresses_that_were_checked() -> None:
    """The resolver hands on what the guard has seen, numeric, after a single look-up."""
    names = Names(["8.8.8.8", "2606:4700:4700::1111"])
    found = await GuardedResolver(AddressGuard([], names)).resolve("media.example", 443)
    assert [(entry["host"], entry["port"], entry["family"]) for entry in found] == [
        ("8.8.8.8", 443, socket.AF_INET),
        ("2606:4700:4700::1111", 443, socket.AF_INET6),
    ]
    assert all(entry["flags"] & socket.AI_NUMERICHOST for entry in found)
    assert names.asked == 1


@pytest.mark.parametrize(
    ("allowed", "host", "port", "passes"),
    [
        ("media.internal", "media.internal", 80, True),
        ("media.internal", "MEDIA.internal", 8080, True),
        ("media.internal:8080", "media.internal", 8080, True),
        (" media.internal:8080 ", "media.internal", 8080, True),
        ("media.internal:8080", "media.internal", 80, False),
        ("internal", "media.internal", 80, False),
        ("10.0.0.1", "media.internal", 80, False),
    ],
)
async def test_allowed_hosts(allowed: str, host: str, port: int, passes: bool) -> None:
    """A host is allowed by its whole name, on any port or on one; allowing an address does not allow names that have it."""
    guard = AddressGuard([allowed], Names(["10.0.0.1"]))
    if passes:
        assert await guard.addresses(host, port) == ["10.0.0.1"]
    else:
        with pytest.raises(ContentError):
            await guard.addresses(host, port)


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.1:80", "::1", "[::1]", "[::1]:80"])
def test_allowed_addresses(allowed: str) -> None:
    """An address may be allowed as well, IPv6 in brackets where a port follows."""
    guard = AddressGuard([allowed])
    guard.check_literal("::1" if "::1" in allowed else "127.0.0.1", 80)
    with pytest.raises(ContentError):
        guard.check_literal("127.0.0.2", 80)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "017700000001",
        "134744072",
        "08.8.8.8",
        "127.0.0.1.",
        "a.0x7f",
    ],
)
def test_old_notations_are_refused(host: str) -> None:
    """Decimal, octal, hexadecimal and short forms of IPv4 are refused, whatever they stand for."""
    with pytest.raises(ContentError, match="IPv4"):
        AddressGuard([]).check_literal(host, 80)


@pytest.mark.parametrize("host", ["127%2e0%2e0%2e1", "a b", "fe80::1%25eth0", "a\r\nb", "a/b", "x" * 254, "ho@st", ""])
def test_what_is_no_host_is_refused(host: str) -> None:
    """Nothing that only looks like a host reaches the name service."""
    with pytest.raises(ContentError, match="neither a host name nor an address"):
        AddressGuard([]).check_literal(host, 80)


async def test_localhost_by_the_systems_resolver() -> None:
    """The system's resolver is asked, and what it says of localhost is refused."""
    assert set(await system_lookup("localhost", 80)) <= {"127.0.0.1", "::1"}
    with pytest.raises(ContentError):
        await AddressGuard([]).addresses("localhost", 80)


@pytest.mark.parametrize(("number", "kind"), [(socket.EAI_NONAME, HealableError), (socket.EAI_AGAIN, OSError)])
async def test_no_such_host_is_not_an_outage(number: int, kind: type[Exception]) -> None:
    """A name that does not exist is this event's matter; a name service that does not answer is everybody's."""

    async def lookup(host: str, port: int) -> list[str]:
        raise socket.gaierror(number, "as told")

    with pytest.raises(kind):
        await AddressGuard([], lookup).addresses("media.example", 80)


async def test_a_label_too_long_for_the_name_service_is_refused() -> None:
    """What the resolver itself cannot encode is no host."""
    with pytest.raises(ContentError):
        await AddressGuard([]).addresses("x" * 64 + ".example", 80)
