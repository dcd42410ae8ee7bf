"""Scripts and styles as the gateway sends them."""

import re
from pathlib import Path
from typing import Final

import pytest

from sluice_gateway.domain.lean_files import lean_script, lean_style

ROOT = Path(__file__).parents[3]
DASHBOARD = ROOT / "services/gateway/src/sluice_gateway/static/dashboard"
SCRIPTS = sorted(each for each in DASHBOARD.rglob("*.js") if "vendor" not in each.parts)
# Comments, strings and regular expressions: what is in them begins and ends nothing.
OPAQUE: Final = re.compile(
    r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\])*'|\"[^\"]*\"|/(?![*/ ])[^\n]*?/[a-z]*(?=[.,)])", re.DOTALL
)


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("a();\n\n  b();\n", "a();b();"),
        ("call(\n  a,\n  [\n    1,\n  ],\n);\n", "call(a,[1,],);"),
        ("if (a) {\n  b();\n}\nc();\n", "if (a) {b();}\nc();"),
        # A statement may end here without a semicolon.
        ("const a = b\nc()\n", "const a = b\nc()\n"),
        ("/** What it\n * does. */\na();\n// Why.\nb();\n", "a();b();"),
        ("let a = /** @type {string | null} */ (null);\n", "let a = (null);"),
        # A comment ends with its line.
        ("a(); // as b, c;\nb();\n", "a(); // as b, c;\nb();"),
        ("get('http://a', {\n  b });\n", "get('http://a', {\nb });"),
    ],
)
def test_a_script_means_the_same(source: str, sent: str) -> None:
    assert lean_script(source) == sent


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("a:hover, b > c {\n  margin: 0 auto;\n}\n", "a:hover,b > c{margin:0 auto;}"),
        ("/* Why. */\na { b: c(d, e); f: g }\n", "a{b:c(d,e);f:g}"),
        ("@media (max-width: 9px) {\n  a { b: c; }\n}\n", "@media (max-width:9px){a{b:c;}}"),
    ],
)
def test_a_style_means_the_same(source: str, sent: str) -> None:
    assert lean_style(source) == sent


def open_lines(source: str) -> list[str]:
    """Return the lines of template text that would lose the space behind them."""
    found, begun, at = [], ["code"], 0
    while at < len(source):
        character = source[at]
        if begun[-1] == "text":
            if character == "\n" and source[at - 1] in ";,{([":
                found.append(source[:at].rpartition("\n")[2])
            elif character == "`":
                begun.pop()
            elif source.startswith("${", at):
                begun.append("code")
                at += 1
        elif opaque := OPAQUE.match(source, at):
            at = opaque.end() - 1
        elif character == "`":
            begun.append("text")
        elif character == "{":
            begun.append("block")
        elif character == "}":
            begun.pop()
        at += 1
    assert begun == ["code"], "the scan has lost its way"
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda each: each.name)
def test_no_line_of_text_ends_as_if_code_went_on(script: Path) -> None:
    assert open_lines(script.read_text(encoding="utf-8")) == []


def test_such_a_line_is_found() -> None:
    assert open_lines("const a = html`<p>one,\n${b({\n})}two</p>`;\n") == ["const a = html`<p>one,"]
