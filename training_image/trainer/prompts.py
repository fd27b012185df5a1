"""Which rows each step trains on: the file shuffled anew for every pass, with fewer visits to rows that teach
nothing. Pure.

A group whose rewards are all equal, because its prompt is always solved or never, has no gradient. With each
such visit in a row the row's chance to be visited in a later pass halves, down to an eighth: the policy
changes, and what teaches nothing today may teach something later. One visit with a difference makes it
certain again. In the first pass every row is visited.
"""

import random
from collections.abc import Collection
from typing import Any

_LEAST = 3
"""Halvings of a row's chance at most."""


class PromptQueue:
    def __init__(self, rows: int, seed: int) -> None:
        """What comes depends on these, and on what `tell` has been told, alone."""
        self._rows = rows
        self._seed = seed
        self._pass = 0
        self._place = 0
        """In this pass: rows before it have had their turn."""
        self._streaks: dict[int, int] = {}
        """Of a row: its latest visits without a difference, one after the other."""
        self._order = self._shuffled()

    def take(self, count: int, besides: Collection[int] = ()) -> list[int]:
        """The next `count` rows, each once and none of `besides`; fewer where the file has no others."""
        taken: list[int] = []
        count = min(count, self._rows - len(set(besides)))
        while len(taken) < count:
            row = self._order[self._place]
            is_due = self._is_due(row)
            self._place += 1
            if self._place == self._rows:
                self._pass, self._place = self._pass + 1, 0
                self._order = self._shuffled()
            if is_due and row not in besides and row not in taken:
                taken.append(row)
        return taken

    def tell(self, row: int, *, differs: bool) -> None:
        """Whether the rewards of a group of this row differed. Of a group that could not be compared there is
        nothing to tell."""
        if differs:
            self._streaks.pop(row, None)
        else:
            self._streaks[row] = self._streaks.get(row, 0) + 1

    def to_json(self) -> dict[str, Any]:
        streaks = {str(row): streak for row, streak in self._streaks.items()}
        return {"pass": self._pass, "place": self._place, "streaks": streaks}

    def restore(self, stored: dict[str, Any]) -> None:
        """Go on as the queue of this file and seed that `stored` is of."""
        self._pass, self._place = stored["pass"], stored["place"]
        self._streaks = {int(row): streak for row, streak in stored["streaks"].items()}
        self._order = self._shuffled()

    def _shuffled(self) -> list[int]:
        return random.Random(f"{self._seed}/{self._pass}").sample(range(self._rows), self._rows)  # noqa: S311

    def _is_due(self, row: int) -> bool:
        halvings = min(_LEAST, self._streaks.get(row, 0)) if self._pass else 0
        return random.Random(f"{self._seed}/{self._pass}/{row}").random() < 0.5**halvings  # noqa: S311
