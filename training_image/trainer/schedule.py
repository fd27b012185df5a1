"""How the learning rate goes through a run. Pure.

Adam's first updates are as large as any, though they follow the noise of one batch: at a rate that learns
quickly they alone can end a policy's exploring. So the rate rises over the first updates; then it falls, and
the last updates settle what was found.
"""

import math

_RISING = 4
LEAST = 0.1
"""Share of the learning rate in the last update."""
BETAS = (0.9, 0.95)
"""Of AdamW: what gradients are is forgotten within twenty updates, of which a run may have no more."""


def rising(updates: int) -> int:
    """How many of a run's updates come before the full rate, that with it included."""
    return min(_RISING, updates // 5 + 1)


def rate(update: int, updates: int) -> float:
    """Share of the learning rate in an update, counted from 0, of so many: linear, then half a cosine."""
    number, first = update + 1, rising(updates)
    if number < first:
        return number / first
    done = min(1.0, (number - first) / max(1, updates - first))
    return LEAST + (1 - LEAST) * (1 + math.cos(math.pi * done)) / 2
