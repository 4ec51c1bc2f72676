"""Starts between which two draws could not decide."""

from __future__ import annotations

from initaudit.starts.document import sentence
from initaudit.starts.start import Start
from initaudit.starts.ties import best_starts, together


def made(scheme: str, score: float | None, slowness: float | None) -> Start:
    """A start with such a prediction."""
    return Start(scheme=scheme, verdict={"trainability": score, "slowness": slowness})


RANKED = (made("he_normal", 1.0, 1.0), made("as-is", 0.99, 1.1), made("orthogonal", 1.0, 1.3), made("unsure", 0.6, 1.0))


def test_starts_are_as_good_where_two_draws_of_one_scheme_differ_by_as_much():
    """In steps and in how surely they learn; what does not learn is as good as nothing, and two that both learn at an unknown pace are alike."""
    assert [start.scheme for start in best_starts(RANKED)] == ["he_normal", "as-is"]
    assert best_starts([made("a", 0.1, None), made("b", 0.1, None)]) == []
    assert len(best_starts([made("a", 1.0, None), made("b", 1.0, None), made("c", 1.0, 4.0)])) == 2


def test_the_sentence_names_all_of_them():
    """And one that is alone as the best; the network as it is stands in one place."""
    told = sentence(RANKED)

    assert told == "he_normal and as-is do equally well: trainability 1.00, as fast as the recommended start."
    assert sentence([RANKED[0], RANKED[2]]).startswith("he_normal is the best start: ")
    assert sentence([RANKED[1]]).endswith("as fast as the recommended start (1.1x, within what two draws differ by).")
    assert together(["a", "b", "c"]) == "a, b and c"
