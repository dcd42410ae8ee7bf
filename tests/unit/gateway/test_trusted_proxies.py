"""Whose request it is."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.trusted_proxies import TrustedProxies

BEHIND = TrustedProxies(trusted=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")))


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("", "unknown"),
        ("/run/gateway.sock", "unknown"),
    ],
)
def test_a_peer_is_an_address_or_a_subscribers_network(address: str | None, peer: str) -> None:
    assert TrustedProxies(trusted=()).of(address) == peer


@pytest.mark.parametrize(
    ("address", "forwarded_for", "peer"),
    [
        # The proxy's own word.
        ("10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::/64"),
        ("::ffff:10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        # What stands left of the client, the client may have written.
        ("10.0.0.1", ["198.51.100.1, 192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.1", "192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["what is this, 192.0.2.1"], "192.0.2.1"),
        # Through several proxies.
        ("10.0.0.1", ["198.51.100.1, 192.0.2.1, 10.0.0.2,10.0.0.3"], "192.0.2.1"),
        ("10.0.0.1", ["192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        # The client is one of the proxies' network.
        ("10.0.0.1", ["10.0.0.9"], "10.0.0.9"),
        ("10.0.0.1", ["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
        # Nothing, or nothing that can be read.
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.1,"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.1:80"], "10.0.0.1"),
        # Nobody else is believed.
        ("192.0.2.7", ["192.0.2.1"], "192.0.2.7"),
        (None, ["192.0.2.1"], "unknown"),
    ],
)
def test_trusted_proxies_say_for_whom_they_ask(
    address: str | None, forwarded_for: list[str], peer: str
) -> None:
    assert BEHIND.of(address, forwarded_for=forwarded_for) == peer


@given(st.lists(st.text(max_size=20), max_size=5))
def test_a_client_keeps_its_address_whatever_it_writes(written: list[str]) -> None:
    assert BEHIND.of("10.0.0.1", forwarded_for=[*written, "192.0.2.1"]) == "192.0.2.1"
    assert BEHIND.of("192.0.2.1", forwarded_for=written) == "192.0.2.1"


@pytest.mark.parametrize(
    ("address", "proxy"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("192.0.2.1", False), (None, False)],
)
def test_proxies_are_known_by_their_address(address: str | None, proxy: bool) -> None:
    assert BEHIND.is_proxy(address) is proxy
