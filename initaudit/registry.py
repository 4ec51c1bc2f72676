"""Discovery of rules, operators and formats: built-in modules of a package, then entry points of other distributions.

A part is a concrete subclass of the interface class. A third party adds one by an entry point, e.g. in pyproject.toml

    [project.entry-points."initaudit.rules"]
    my-rule = "my_package.my_rule:MyRule"
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

T = TypeVar("T")


@cache
def discover(package: str, interface: type[T]) -> tuple[type[T], ...]:
    """Concrete subclasses of `interface` in the modules of `package` (by module name), then those of entry point group `package`.

    An entry point that cannot be loaded or is no such class is left out and told by `faults`.
    """
    found: dict[type[Any], None] = {}
    for module_info in sorted(pkgutil.iter_modules(importlib.import_module(package).__path__), key=lambda m: m.name):
        module = importlib.import_module(f"{package}.{module_info.name}")
        for _, member in inspect.getmembers(module, inspect.isclass):
            if member.__module__ == module.__name__ and _is_part(member, interface):
                found[member] = None
    for name, member in contributed(package).items():
        if not _is_part(member, interface):
            tell(f"entry point {name!r} of {package} is not a {interface.__name__}")
        else:
            found[member] = None
    return tuple(found)


@cache
def contributed(group: str) -> dict[str, Any]:
    """What other distributions name in an entry point group, by the name they give it; without what cannot be loaded, see `faults`."""
    loaded = {}
    for entry in sorted(entry_points(group=group), key=lambda e: e.name):
        try:
            loaded[entry.name] = entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001  modules of other packages raise whatever they raise
            tell(f"entry point {entry.name!r} of {group} cannot be loaded: {type(error).__name__}: {error}")
    return loaded


def tell(fault: str) -> None:
    """Remember what is wrong with a part of another distribution: it costs that part alone, and is said with every result."""
    _FAULTS[" ".join(fault.split())] = None


def faults() -> tuple[str, ...]:
    """What is wrong with parts of other distributions, as far as they were looked for, a line each."""
    return tuple(_FAULTS)


_FAULTS: dict[str, None] = {}


def _is_part(member: Any, interface: type[Any]) -> bool:
    return inspect.isclass(member) and issubclass(member, interface) and not inspect.isabstract(member)
