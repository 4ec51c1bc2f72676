"""Answers that several audits of nearly the same network ask for again, given once: what decides them makes up the key."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

T = TypeVar("T")

_known: ContextVar[dict[Hashable, Any] | None] = ContextVar("known", default=None)


@contextmanager
def remembering(known: dict[Hashable, Any] | None = None) -> Iterator[None]:
    """Answers given inside are remembered until its end, with those that are `known`; outside nothing is. Inside another one it changes nothing."""
    outer = _known.get()
    token = _known.set(outer if outer is not None else {} if known is None else known)
    try:
        yield
    finally:
        _known.reset(token)


def is_known(key: Callable[[], Hashable]) -> bool:
    """Whether the answer under this key is remembered."""
    known = _known.get()
    return known is not None and key() in known


def once(key: Callable[[], Hashable], ask: Callable[[], T], keep: Callable[[T], bool] = lambda _: True) -> T:
    """What `ask` gives, or gave before under the same key; an answer that `keep` rejects is not remembered.

    The key is asked for only where answers are remembered, so that it may take time.
    """
    known = _known.get()
    if known is None:
        return ask()
    name = key()
    if name in known:
        answer: T = known[name]
        return answer
    answer = ask()
    if keep(answer):
        known[name] = answer
    return answer
