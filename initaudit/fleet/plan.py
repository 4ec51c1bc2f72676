"""The plan of a run: which models, in which state, under which options; fixed before the work, so that every one of them can be accounted for."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One model to audit, as its source shows it."""

    path: str
    """File, or URL."""
    size: int | None = None
    """Bytes of the .onnx file; None where the source does not say, as for a file that is not there."""
    stamp: str | None = None
    """Tells it from itself rewritten: the ETag of an object; times of change and inode of a file; None where nothing does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One line of `plan.jsonl`."""

    number: int
    """From 0, in the order of the sources."""
    item: Item
    options: int = 0
    """Which of the run's `options` it is audited under."""

    def line(self) -> str:
        """As one line of JSON, the newline included."""
        document = {"number": self.number, **dataclasses.asdict(self.item), "options": self.options}
        return json.dumps(document) + "\n"

    @classmethod
    def read(cls, line: str | bytes) -> Planned:
        """From a line."""
        found = json.loads(line)
        item = Item(path=found["path"], size=found["size"], stamp=found["stamp"])
        return cls(number=found["number"], item=item, options=found["options"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """The n-th share of a plan: every `of`-th line, beginning with the `part`-th."""

    part: int = 1
    """1..of."""
    of: int = 1

    def has(self, number: int) -> bool:
        """Whether this line of the plan is in it."""
        return number % self.of == self.part - 1

    def size(self, planned: int) -> int:
        """Lines of it, of so many planned."""
        return len(range(self.part - 1, planned, self.of))

    @property
    def name(self) -> str:
        """`index`, or `index-3-of-8`: what the shard's index is called."""
        return "index" if self.of == 1 else f"index-{self.part}-of-{self.of}"
