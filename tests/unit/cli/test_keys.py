"""API keys in the file that the gateway reads."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from sluice_cli.domain.keys_file import read_keys_file
from sluice_cli.domain.usage import UsageError
from sluice_contracts.api_keys import digest
from sluice_gateway.adapters.identity_files import read_keys
from sluice_gateway.domain.api_keys import RefusedKeyError
from sluice_gateway.keys import main
from tests.unit.cli.person import Person

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Keys:
    """A file of keys, and a person who keeps it."""

    def __init__(self, person: Person, file: Path) -> None:
        self._person = person
        self.file = file

    def types(self, *words: str, code: int = 0) -> str:
        return self._person.sees("keys", *words, "--file", str(self.file), code=code)

    def principal_of(self, key: str, *, now: datetime | None = None) -> str:
        """Return what the gateway says whose key it is."""
        keys = read_keys(self.file.read_bytes(), source="keys.yaml")
        return keys.verify(key.strip(), now=now or datetime.now(UTC)).principal


@pytest.fixture
def keys(person: Person, tmp_path: Path) -> Keys:
    return Keys(person, tmp_path / "keys.yaml")


def test_a_key_is_made_rotated_and_revoked(keys: Keys) -> None:
    operator = keys.types("new", "--principal", "operator", "--days", "365")
    ci = keys.types("new", "--principal", "ci")
    assert [keys.principal_of(each) for each in (operator, ci)] == ["operator", "ci"]
    with pytest.raises(RefusedKeyError, match="expired"):
        keys.principal_of(operator, now=datetime(2099, 1, 1, tzinfo=UTC))

    key_id = operator.split("_")[1]
    following = keys.types("new", "--id", key_id, "--days", "1")
    assert [keys.principal_of(each) for each in (operator, following)] == ["operator"] * 2
    keys.types("new", "--id", key_id, code=2)

    old = digest(operator.strip()).hex()
    rows = [line.split() for line in keys.types("list").splitlines()[1:]]
    assert [row[:4] for row in rows] == [
        [key_id, "operator", old[:12], "valid"],
        [key_id, "operator", digest(following.strip()).hex()[:12], "valid"],
        [ci.split("_")[1], "ci", digest(ci.strip()).hex()[:12], "valid"],
    ]
    keys.types("revoke", key_id, "--secret", old[:12])
    assert keys.principal_of(following) == "operator"
    with pytest.raises(RefusedKeyError):
        keys.principal_of(operator)
    keys.types("revoke", key_id, "--secret", digest(following.strip()).hex()[:12], code=2)

    keys.types("revoke", key_id)
    keys.types("revoke", key_id, code=2)
    assert keys.principal_of(ci) == "ci"
    keys.types("revoke", ci.split("_")[1])
    assert yaml.safe_load(keys.file.read_bytes()) == {"keys": []}
    assert keys.principal_of(keys.types("new", "--principal", "again")) == "again"


def test_the_file_has_no_key_and_keeps_its_mode_and_its_comments(keys: Keys) -> None:
    keys.file.write_text("# Ours.\nkeys: []  # none yet\n# The end.\n", "utf-8")
    keys.file.chmod(0o640)
    key = keys.types("new", "--principal", "ci").strip()
    text = keys.file.read_text("utf-8")
    assert key not in text
    assert text.startswith("# Ours.\nkeys:\n# The end.\n- id: ")
    assert stat.S_IMODE(keys.file.stat().st_mode) == 0o640
    assert [each.name for each in keys.file.parent.iterdir()] == ["keys.yaml"]


def test_a_file_of_the_gateways_own_command_is_read(
    keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["new", "--principal", "ci", "--days", "9"])
    written = capsys.readouterr()
    indented = "".join(f"  {line}\n" for line in written.err.splitlines())
    keys.file.write_text(f"keys:\n{indented}", "utf-8")
    following = keys.types("new", "--id", written.out.split("_")[1])
    other = keys.types("new", "--principal", "other")
    found = [keys.principal_of(each) for each in (written.out, following, other)]
    assert found == ["ci", "ci", "other"]


@pytest.mark.parametrize(
    "line",
    [
        "- {id: a}",
        "more: true",
        "- principal: ci",
        "  sha256: ab",
        "- id:",
        "  expires_at: soon",
        "  expires_at: 2026-11-30",
    ],
)
def test_a_line_of_another_form_is_refused(line: str) -> None:
    text = f'keys:\n- id: "4fT9kQ2mZx8B"\n  principal: ci\n  secrets:\n  - sha256: ab\n{line}\n'
    with pytest.raises(UsageError, match=r"keys\.yaml: line 6"):
        read_keys_file(text, source="keys.yaml")


@pytest.mark.parametrize("text", ["keys:\n- id: a\n", "keys:\n- id: a\n  principal: b\n"])
def test_a_key_without_its_members_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="has no principal or no secret"):
        read_keys_file(text, source="keys.yaml")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--principal", "ci", "--id", "4fT9kQ2mZx8B"],
        ["--principal", "two words"],
        ["--id", "short"],
        ["--id", "4fT9kQ2mZx8B"],
        ["--principal", "ci", "--days", "0"],
    ],
)
def test_a_command_that_is_wrong_writes_nothing(keys: Keys, words: list[str]) -> None:
    keys.types("new", *words, code=2)
    assert not keys.file.exists()


def test_what_cannot_be_written_is_explained(person: Person, tmp_path: Path) -> None:
    result = person.types("keys", "new", "--principal", "ci", "-f", str(tmp_path / "no/keys.yaml"))
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert result.stdout == ""
    (tmp_path / "keys.yaml").write_bytes(b"\xff")
    result = person.types("keys", "list", "-f", str(tmp_path / "keys.yaml"))
    assert "cannot be read" in result.stderr


def test_a_file_that_is_not_there_has_no_keys_to_show(keys: Keys) -> None:
    keys.types("list", code=2)
    keys.types("revoke", "4fT9kQ2mZx8B", code=2)
    assert not keys.file.exists()
