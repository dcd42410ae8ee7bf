"""Secrets and keys cross a network by https only."""

import pytest

from sluice_gateway.domain.web_addresses import is_origin, is_safe_address


@pytest.mark.parametrize(
    "address",
    ["https://a.example", "https://a.example:8443/x?y=z", "http://127.0.0.1:1/a", "http://[::1]/a"],
)
def test_https_is_safe_and_so_is_this_machine(address: str) -> None:
    assert is_safe_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a.example",
        "http://a.example",
        "http://10.0.0.1",
        "http://localhost.example",
        "https://",
        "https://*.example",
        "https://a_b.example",
        "https://a b.example",
        "https://user@a.example",
        "https://a.example/#part",
        "https://a.example:port/",
        "https://[::1/",
        "file:///etc/passwd",
    ],
)
def test_anything_else_is_not(address: str) -> None:
    assert not is_safe_address(address)


def test_an_origin_has_no_path() -> None:
    assert is_origin("https://runs.example.com")
    assert is_origin("http://localhost:8080")
    for address in ("https://runs.example.com/", "https://Runs.example.com", "http://a", "null"):
        assert not is_origin(address)
