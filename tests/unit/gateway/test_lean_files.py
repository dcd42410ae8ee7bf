"""Scripts and styles as the gateway sends them."""

import pytest

from sluice_gateway.domain.lean_files import lean_script, lean_style


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
