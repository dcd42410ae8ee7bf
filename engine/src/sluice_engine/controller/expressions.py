"""`when` and `depends`: small boolean languages, parsed here and never evaluated as Python.

or         = and { "||" and }
and        = not { "&&" not }
not        = "!" not | "(" or ")" | comparison
comparison = operand [ ("==" | "!=" | "<=" | ">=" | "<" | ">") operand ]
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from sluice_engine.controller.errors import TemplateError

__all__ = ["evaluate_depends", "evaluate_when"]

_Operand = bool | float | str

_WHEN_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<operator>&&|\|\||==|!=|<=|>=|[!<>()])
    |(?P<number>-?\d+(?:\.\d+)?(?![\w.]))
    |(?P<word>[A-Za-z_][\w.]*))""",
    re.VERBOSE,
)
_DEPENDS_TOKEN: Final = re.compile(
    r"\s*(?:(?P<operator>&&|\|\||[!()])|(?P<word>[A-Za-z0-9][-\w]*(?:\.[A-Za-z]+)?))"
)
_COMPARISONS: Final = frozenset({"==", "!=", "<", ">", "<=", ">="})
_END: Final = ("end", "")
_MAX_DEPTH: Final = 100


def evaluate_when(expression: str) -> bool:
    """Evaluate a `when` clause after substitution; a word without quotes is a string.

    Raises:
        TemplateError: it does not parse, or is not a yes or no.
    """
    result = _Parser(expression, _WHEN_TOKEN, _literal).parse()
    if not isinstance(result, bool):
        message = f"Expected boolean evaluation for '{expression}'. Got {result}"
        raise TemplateError(message)
    return result


def evaluate_depends(logic: str, results: Mapping[str, bool]) -> bool:
    """Evaluate a `depends` clause, given `task.Result` for every task and result that it names.

    Raises:
        TemplateError: it does not parse, or names an unknown result.
    """

    def result(kind: str, text: str) -> _Operand:
        if kind == "word" and text in results:
            return results[text]
        message = f"unable to evaluate expression '{logic}': unknown {text}"
        raise TemplateError(message)

    found = _Parser(logic, _DEPENDS_TOKEN, result).parse()
    return found is True


def _literal(kind: str, text: str) -> _Operand:
    match kind:
        case "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        case "number":
            return float(text)
        case _:
            return {"true": True, "false": False}.get(text, text)


class _Parser:
    def __init__(
        self, text: str, token: re.Pattern[str], operand: Callable[[str, str], _Operand]
    ) -> None:
        self._text = text
        self._operand = operand
        self._tokens = self._tokenize(token)
        self._depth = 0

    def _tokenize(self, token: re.Pattern[str]) -> list[tuple[str, str]]:
        tokens, position, end = [], 0, len(self._text.rstrip())
        while position < end:
            found = token.match(self._text, position)
            if found is None or found.lastgroup is None:
                raise self._wrong(f"unexpected {self._text[position:].strip()[:20]!r}")
            tokens.append((found.lastgroup, found[found.lastgroup]))
            position = found.end()
        return tokens[::-1]

    def _wrong(self, why: str) -> TemplateError:
        return TemplateError(
            f"Invalid expression '{self._text}': {why} "
            '(hint: try wrapping the affected expression in quotes ("))'
        )

    def _peek(self) -> tuple[str, str]:
        return self._tokens[-1] if self._tokens else _END

    def _accept(self, *operators: str) -> str | None:
        kind, text = self._peek()
        if kind == "operator" and text in operators:
            self._tokens.pop()
            return text
        return None

    def parse(self) -> _Operand:
        result = self._or()
        if self._tokens:
            raise self._wrong(f"unexpected {self._peek()[1]!r}")
        return result

    def _boolean(self, value: _Operand) -> bool:
        if not isinstance(value, bool):
            raise self._wrong(f"{value!r} is not a yes or no")
        return value

    def _or(self) -> _Operand:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._wrong("nested too deeply")
        left = self._and()
        while self._accept("||"):
            right = self._and()
            left = self._boolean(left) or self._boolean(right)
        self._depth -= 1
        return left

    def _and(self) -> _Operand:
        left = self._not()
        while self._accept("&&"):
            right = self._not()
            left = self._boolean(left) and self._boolean(right)
        return left

    def _not(self) -> _Operand:
        negations = 0
        while self._accept("!"):
            negations += 1
        value = self._comparison()
        if negations:
            return self._boolean(value) is (negations % 2 == 0)
        return value

    def _comparison(self) -> _Operand:
        left = self._atom()
        operator = self._accept(*_COMPARISONS)
        return left if operator is None else self._compare(left, operator, self._atom())

    def _atom(self) -> _Operand:
        if self._accept("("):
            value = self._or()
            if not self._accept(")"):
                raise self._wrong("a parenthesis is not closed")
            return value
        kind, text = self._peek()
        if kind in {"end", "operator"}:
            raise self._wrong(f"unexpected {text or 'end'!r}")
        self._tokens.pop()
        return self._operand(kind, text)

    def _compare(self, left: _Operand, operator: str, right: _Operand) -> bool:
        if operator in {"==", "!="}:
            same = type(left) is type(right) and left == right
            return same is (operator == "==")
        ordered = (isinstance(left, str) and isinstance(right, str)) or (
            isinstance(left, float) and isinstance(right, float)
        )
        if not ordered:
            raise self._wrong(f"{left!r} and {right!r} have no order")
        below, same = left < right, left == right  # type: ignore[operator]
        return {"<": below, "<=": below or same, ">": not (below or same), ">=": not below}[
            operator
        ]
