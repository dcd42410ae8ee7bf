"""Where the token of a request comes from."""

from pathlib import Path

import pytest

from sluice_client import TokenFileError
from sluice_client.tokens import TokenSource


async def test_a_text_is_the_token() -> None:
    assert await TokenSource("slk_1").current() == "slk_1"
    assert await TokenSource(None).current() is None


async def test_a_function_is_asked_each_time() -> None:
    tokens = iter(["one\n", "two"])

    async def next_token() -> str:
        return next(tokens)

    source = TokenSource(next_token)
    assert [await source.current(), await source.current()] == ["one", "two"]


async def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    source = TokenSource(file)
    assert await source.current() == "one"
    file.write_text("second\n")
    assert await source.current() == "second"


async def test_a_file_is_followed_as_kubernetes_replaces_it(tmp_path: Path) -> None:
    for version, token in (("..1", "one"), ("..2", "two")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "token").write_text(token)
    data, file = tmp_path / "..data", tmp_path / "token"
    data.symlink_to("..1")
    file.symlink_to("..data/token")
    source = TokenSource(file)
    assert await source.current() == "one"
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(data)
    assert await source.current() == "two"


async def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(TokenFileError, match="token-of-nobody: No such file or directory"):
        await TokenSource(tmp_path / "token-of-nobody").current()
    with pytest.raises(TokenFileError, match="Is a directory"):
        await TokenSource(tmp_path).current()


@pytest.mark.parametrize("content", [b"", b"\n", b"slk_1\nslk_2\n", b"slk_\x00", b"slk_\xff"])
async def test_a_file_without_a_token_is_named_and_not_repeated(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(TokenFileError) as raised:
        await TokenSource(file).current()
    assert str(file) in str(raised.value)
    assert "slk_" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_no_text_shows_the_token() -> None:
    assert "secret" not in repr(TokenSource("secret"))
