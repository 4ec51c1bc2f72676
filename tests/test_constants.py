"""Every number that decides something has a name, and beside it a sentence on where it comes from."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import initaudit

PACKAGE = Path(initaudit.__file__).parent
MODULES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))
EXCEPTIONS = {
    ("activations/formulas.py", "_erf"): "a function; its numbers count arguments and results",
}
NUMERIC = (
    ast.Constant, ast.UnaryOp, ast.BinOp, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.Call, ast.Attribute, ast.Name, ast.Starred,
    ast.operator, ast.unaryop, ast.expr_context, ast.keyword,
)  # fmt: skip
MAKERS = ("math", "np", "frozenset", "tuple", "len", "sum", "min", "max")


def is_numeric(value: ast.expr) -> bool:
    """Whether an expression is made of numbers: literals, arithmetic, containers and calls of math and numpy. Keys may be text."""
    keys = {id(key) for node in ast.walk(value) if isinstance(node, ast.Dict) for key in node.keys}
    nodes = [node for node in ast.walk(value) if id(node) not in keys]
    literals = [node.value for node in nodes if isinstance(node, ast.Constant)]
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    return (
        any(type(literal) in (int, float) for literal in literals)
        and all(type(literal) in (int, float) for literal in literals)
        and all(isinstance(node, NUMERIC) for node in nodes)
        and all(ast.unparse(call).split(".")[0] in MAKERS for call in calls)
    )


def constants(source: str) -> dict[str, str | None]:
    """Docstring of each constant of a module that is made of numbers; None where it has none."""
    found: dict[str, str | None] = {}
    body = ast.parse(source).body
    for statement, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        else:
            continue
        if statement.value is None or not is_numeric(statement.value):
            continue
        told = (
            isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
        )
        names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        found |= dict.fromkeys(names, after.value.value if told else None)
    return found


def test_every_number_says_where_it_comes_from():
    """A module-level number is followed by its docstring, a sentence."""
    told = {
        (module, name): text
        for module in MODULES
        for name, text in constants((PACKAGE / module).read_text(encoding="utf-8")).items()
    }

    silent = {constant for constant, text in told.items() if not text or not text.endswith(".")}
    assert len(told) > 100
    assert silent - EXCEPTIONS.keys() == set()


def test_every_exception_is_still_needed():
    """An exception whose constant is gone, or speaks for itself by now, is taken off the list."""
    needed = {
        (module, name)
        for module, name in EXCEPTIONS
        if constants((PACKAGE / module).read_text(encoding="utf-8"))[name] is None
    }

    assert needed == set(EXCEPTIONS)


@pytest.mark.parametrize(
    "source",
    [
        "A = 1\nB = 2\n'''Of both.'''",
        "A: Final = 1 << 20",
        "A, B = 2, 32\nC = A",
        "A = {'float16': 1e-2}",
        "A = np.linspace(-1.0, 1.0, 9)",
        "A = frozenset({1, 2})",
    ],
)
def test_a_number_without_a_sentence_of_its_own_is_seen(source):
    """Whatever form it has: its neighbour's docstring does not count."""
    assert constants(source)["A"] is None


@pytest.mark.parametrize(
    "source", ["A = 'text'", "A = ('x', 1)", "A = lambda z: 2 * z", "A = Gain(forward=1.0)", "A = B", "A = True"]
)
def test_what_is_no_number_needs_no_source(source):
    """Words, functions, objects and aliases are described by other means."""
    assert constants(source) == {}
