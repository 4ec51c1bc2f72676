"""What decides an answer decides whether it is asked for again."""

from __future__ import annotations

import pytest

from initaudit.remembering import once, remembering


@pytest.fixture(autouse=True)
def _measured_once() -> None:
    """Outside of what a test remembers, nothing is."""


def test_a_question_is_asked_once_as_long_as_answers_are_remembered() -> None:
    """And each time outside, where nothing is held and the key costs nothing."""
    asked: list[str] = []

    def ask(question: str) -> int:
        return once(lambda: question, lambda: asked.append(question) or len(asked))

    with remembering():
        inside = [ask("a"), ask("b"), ask("a")]
    outside = [once(lambda: 1 / 0, lambda: 7), ask("a")]

    assert inside == [1, 2, 1]
    assert outside == [7, 3]


def test_an_answer_that_is_not_to_be_kept_is_asked_for_again() -> None:
    """As what was interrupted."""
    with remembering():
        first = once(lambda: "q", lambda: 1, keep=lambda answer: answer > 1)
        second = once(lambda: "q", lambda: 2, keep=lambda answer: answer > 1)
        third = once(lambda: "q", lambda: 3, keep=lambda answer: answer > 1)

    assert (first, second, third) == (1, 2, 2)


def test_what_is_remembered_inside_is_remembered_outside() -> None:
    """A fix within a comparison asks for nothing that the comparison knows."""
    with remembering():
        first = once(lambda: "q", lambda: 1)
        with remembering():
            second = once(lambda: "q", lambda: 2)

    assert (first, second) == (1, 1)
