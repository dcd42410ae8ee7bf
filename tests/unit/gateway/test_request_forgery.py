"""Requests that a page of another site has caused."""

import pytest

from sluice_gateway.domain.local_paths import is_local_path
from sluice_gateway.domain.request_forgery import is_from_another_site, is_from_our_page

OURS = "https://runs.example.com"


@pytest.mark.parametrize(
    ("fetch_site", "origin", "allowed"),
    [
        ("same-origin", OURS, True),
        # Behind a proxy that changes the scheme, for example.
        ("same-origin", "http://10.0.0.1", True),
        ("same-site", OURS, False),
        ("cross-site", OURS, False),
        ("none", OURS, False),
        ("", OURS, False),
        ("Same-Origin", OURS, False),
        (None, OURS, True),
        (None, "https://evil.example", False),
        (None, "https://runs.example.com.evil.example", False),
        (None, "http://runs.example.com", False),
        (None, "null", False),
        (None, None, False),
    ],
)
def test_only_our_own_page_is_from_our_page(
    fetch_site: str | None, origin: str | None, *, allowed: bool
) -> None:
    found = is_from_our_page(fetch_site=fetch_site, origin=origin, public_origin=OURS)
    assert found == allowed


def test_without_a_public_origin_only_fetch_metadata_says_so() -> None:
    assert is_from_our_page(fetch_site="same-origin", origin=None, public_origin=None)
    assert not is_from_our_page(fetch_site=None, origin=None, public_origin=None)


@pytest.mark.parametrize(
    ("fetch_site", "origin", "refused"),
    [
        (None, None, False),
        ("same-origin", "http://localhost:8080", False),
        ("none", None, False),
        ("same-site", "http://localhost:3000", True),
        ("cross-site", "https://evil.example", True),
        ("cross-site", None, True),
        (None, "http://localhost:8080", False),
        (None, "http://localhost:3000", True),
        (None, "https://evil.example", True),
        (None, "null", True),
        (None, "", True),
        (None, "http://[", True),
    ],
)
def test_without_credentials_no_page_of_another_site_may(
    fetch_site: str | None, origin: str | None, *, refused: bool
) -> None:
    found = is_from_another_site(fetch_site=fetch_site, origin=origin, host="Localhost:8080")
    assert found == refused


@pytest.mark.parametrize("path", ["/", "/runs/a?tenant=b#steps", "/%2F%2Fevil.example", "/a//b"])
def test_a_path_of_ours_may_be_returned_to(path: str) -> None:
    assert is_local_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "runs",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/a\r\nSet-Cookie: b=c",
        "/ä",
        "/a\\b",
        "/" + "a" * 2000,
    ],
)
def test_nothing_else_may(path: str) -> None:
    assert not is_local_path(path)
