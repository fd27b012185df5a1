"""Seeds of single draws: what is sampled beside one, or on which host, changes nothing."""

import hashlib


def draw_seed(run: int, step: int, row: int, session: int) -> int:
    """Of a row's `session`-th completion in a step, in a run with the seed `run`."""
    return int.from_bytes(hashlib.sha256(f"{run}/{step}/{row}/{session}".encode()).digest()[:4])
