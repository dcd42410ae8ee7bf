"""A secret that two services share."""

import pytest

from sluice_runtime.shared_secret import is_one_of, read_secrets
from sluice_runtime.strict_yaml import FileError

OLD, NEW = b"o" * 32, b"n" * 43


def test_a_file_has_a_secret_on_each_line() -> None:
    assert read_secrets(OLD, source="f") == (OLD,)
    assert read_secrets(OLD + b"\r\n\n " + NEW + b"\n", source="f") == (OLD, NEW)


@pytest.mark.parametrize("content", [b"", b"\n", b"short", OLD + b"\nshort", b"\xff" * 32])
def test_a_file_without_a_good_secret_is_refused_without_showing_it(content: bytes) -> None:
    with pytest.raises(FileError) as refused:
        read_secrets(content, source="f")
    assert "short" not in str(refused.value).replace("too short", "")


def test_each_of_them_is_taken_and_nothing_else() -> None:
    assert is_one_of((OLD, NEW), OLD)
    assert is_one_of((OLD, NEW), NEW)
    assert not is_one_of((OLD, NEW), NEW[:-1])
    assert not is_one_of((OLD, NEW), b"")
