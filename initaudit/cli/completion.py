"""What the shell offers for the values of options: rules, thresholds, schemes, formats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    import click


def complete_rules(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Codes and names of rules, behind the last comma."""
    from initaudit.rule import all_rules

    before, comma, word = incomplete.rpartition(",")
    codes = [(rule.code, rule.name) for rule in all_rules()]
    names = [(rule.name, rule.code) for rule in all_rules()]
    return _items(codes if not word or word[:1].isupper() else names, word, before + comma)


def complete_thresholds(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """`INI101.ratio=`, with the value that it has."""
    from initaudit.rule import all_rules

    known = [(f"{rule.code}.{t.name}=", f"{t.value:g}: {t.meaning}") for rule in all_rules() for t in rule.thresholds]
    return _items(known, incomplete)


def complete_schemes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Schemes that `fix` draws by, behind the layers that they are for; of families the word before the numbers."""
    from initaudit.initialisation.schemes import SCHEMES
    from initaudit.initialisation.spelling import ALIASES, AUTO, BY_INPUTS, FAMILIES

    layers, equals, word = incomplete.rpartition("=")
    known = [(name, "") for name in (AUTO, *BY_INPUTS, *sorted({*SCHEMES, *ALIASES}))]
    return _items([*known, *((f"{name}:", family.form) for name, family in FAMILIES.items())], word, layers + equals)


def complete_activations(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Activations that a network can be made with."""
    from initaudit.making.activation import ACTIVATIONS, WITH_NUMBER

    return _items([(name, "") for name in sorted({*ACTIVATIONS, *WITH_NUMBER})], incomplete)


def complete_formats(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Output formats."""
    from initaudit.format import all_formats

    return _items([(name, f.suffix) for name, f in sorted(all_formats().items())], incomplete)


def _items(known: Iterable[tuple[str, str]], word: str, before: str = "") -> list[CompletionItem]:
    """Those that begin like the word, in whatever case."""
    fitting = [(value, what) for value, what in known if value.lower().startswith(word.lower())]
    return [CompletionItem(before + value, help=what or None) for value, what in fitting]
