"""Whose call it was: an address that a client cannot choose."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.actions import sources
from llmtrace_sdk.actions.sources import parsed, source_of, spared, subject
from llmtrace_sdk.core.routing import RouterOptions

LOCAL = RouterOptions()
FLEET = RouterOptions(trusted_proxies=("127.0.0.0/8", "10.0.0.0/8", "2001:db8:aaaa::/48"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "real", "source"),
    [
        ("127.0.0.1", "203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "198.51.100.1", "203.0.113.7"),  # nobody vouches for the header
        ("127.0.0.1", None, None, "127.0.0.1"),
        (None, "203.0.113.7", "203.0.113.7", None),
        ("127.0.0.1", "1.1.1.1, 2.2.2.2, 203.0.113.7", None, "203.0.113.7"),
        ("127.0.0.1", "203.0.113.7, 127.0.0.1, 127.9.9.9", None, "203.0.113.7"),
        ("127.0.0.1", "127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "garbage, 203.0.113.7, , unknown", None, "203.0.113.7"),
        ("127.0.0.1", "garbage", None, "127.0.0.1"),
        ("127.0.0.1", None, "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("127.0.0.1", "127.0.0.1", "198.51.100.1", "127.0.0.1"),  # the proxy writes the other header
        ("127.0.0.1", "", "nonsense", "127.0.0.1"),
        ("::1", "[2001:DB8:0::7]:8080", None, "2001:db8::7"),
        ("::ffff:127.0.0.1", "::ffff:203.0.113.7", None, "203.0.113.7"),
        ("127.0.0.1:55555", "203.0.113.7:4711", None, "203.0.113.7"),
        ("fe80::1%eth0", "203.0.113.7", None, "fe80::1"),
        ("127.0.0.1", '"203.0.113.7"', None, "203.0.113.7"),
        ("127.0.0.1", "203.0.113.007", None, "127.0.0.1"),
        ("", "203.0.113.7", None, None),
        ("unix:/tmp/socket", "203.0.113.7", None, None),
    ],
)
def test_a_header_counts_on_the_word_of_a_proxy_alone(
    peer: str | None, forwarded: str | None, real: str | None, source: str | None
) -> None:
    assert source_of(peer, forwarded, real, LOCAL) == source


def test_a_chain_of_proxies_is_walked_to_its_first_stranger() -> None:
    assert source_of("10.1.1.1", "6.6.6.6, 203.0.113.7, 10.2.2.2, 2001:db8:aaaa::5", None, FLEET) == "203.0.113.7"
    assert source_of("10.1.1.1", "203.0.113.7, 10.2.2.2", None, LOCAL) == "10.1.1.1"
    nobody = RouterOptions(trusted_proxies=())
    assert source_of("127.0.0.1", "203.0.113.7", "203.0.113.7", nobody) == "127.0.0.1"


ADDRESSES = st.ip_addresses().map(str)


@given(st.text(max_size=100) | ADDRESSES, ADDRESSES)
def test_a_client_cannot_choose_its_address(spoofed: str, real: str) -> None:
    """Whatever it sends stands to the left of what its proxy writes."""
    if parsed(real) in sources.networks(LOCAL.trusted_proxies)[0] or real == "::1":
        return
    assert source_of("127.0.0.1", f"{spoofed}, {real}", spoofed, LOCAL) == str(parsed(real))
    assert source_of(real, spoofed, spoofed, LOCAL) == str(parsed(real))


@given(st.text(max_size=80), st.text(max_size=200), st.text(max_size=80))
def test_nothing_makes_it_raise(peer: str, forwarded: str, real: str) -> None:
    found = source_of(peer, forwarded, real, LOCAL)
    assert found is None or parsed(found) is not None
    source_of("127.0.0.1", forwarded, real, LOCAL)


def test_a_long_header_is_read_from_its_end_and_fast() -> None:
    began = time.perf_counter()
    for header in ("," * 10_000_000 + "203.0.113.7", "9.9.9.9," * 1_000_000 + "203.0.113.7"):
        assert source_of("127.0.0.1", header, None, LOCAL) == "203.0.113.7"
    assert source_of("127.0.0.1", "203.0.113.7" + ",127.0.0.1" * 100_000, None, LOCAL) == "127.0.0.1"
    assert time.perf_counter() - began < 0.5


def test_a_piece_of_an_address_is_none() -> None:
    cut = "2203.0.113.7" + "," * (sources.HEADER_LIMIT - len("203.0.113.7"))
    assert source_of("127.0.0.1", cut, None, LOCAL) == "127.0.0.1"


def test_one_customer_of_ipv6_is_one_subject() -> None:
    assert subject("2001:db8:1:2:3::4") == subject("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert subject("2001:db8:1:3::1") != subject("2001:db8:1:2::1")
    assert subject("203.0.113.7") == "203.0.113.7"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("203.0.113.7", None),
        ("192.0.2.77", "exempt"),
        ("::ffff:192.0.2.77", "exempt"),
        ("2001:db8::1", "exempt"),
        ("127.0.0.1", "trusted_proxy"),
        ("nonsense", "no_source"),
    ],
)
def test_who_is_never_blocked(source: str, why: str | None) -> None:
    assert spared(source, RouterOptions(exempt_networks=("192.0.2.0/24", "2001:db8::/32"))) == why


def test_networks_that_are_none() -> None:
    names = ("10.0.0.0/8", "::1", "10.0.0.1/8", "10.0.0.0/33", "", "example.org", 7)
    assert sources.wrong_networks(names) == ["10.0.0.1/8", "10.0.0.0/33", "", "example.org", 7]  # type: ignore[arg-type]
