"""Weights and gradients between the processes of a machine's GPUs (NCCL), or of a test's (Gloo).

A process group of our own, not torch's global one: TRL and accelerate think that they train alone, each
process with whole groups, and what they do stays what it is on one GPU.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

_LIMIT = timedelta(hours=1)


class Exchange:
    def __init__(self, rank: int, size: int, rendezvous: Path) -> None:
        """Waits for the others. `rendezvous`: a file that does not exist yet, the same for all."""
        store = dist.FileStore(str(rendezvous), size)  # pyright: ignore[reportPrivateImportUsage]
        store.set_timeout(_LIMIT)
        self._rank = rank
        if torch.cuda.is_available():
            options = dist.ProcessGroupNCCL.Options()
            options._timeout = _LIMIT
            self._group: Any = dist.ProcessGroupNCCL(store, rank, size, options)
        else:
            self._group = dist.ProcessGroupGloo(store, rank, size, _LIMIT)

    @torch.no_grad()
    def spread_weights(self, model: Any) -> None:
        """The first process's, of all that trains, to the others."""
        options = dist.BroadcastOptions()
        options.rootRank = 0
        for one in _trainable(model):
            sent = one.detach().clone()
            self._group.broadcast([sent], options).wait()
            if self._rank:
                one.copy_(sent)

    @torch.no_grad()
    def add_gradients(self, model: Any) -> None:
        """Each process has the sum afterwards. A parameter that nobody has a gradient of has none then: the
        optimizer passes it over."""
        parameters = list(_trainable(model))
        device = parameters[0].device
        counts = torch.tensor([float(one.grad is not None) for one in parameters], device=device)
        self._sum(counts)
        for one, count in zip(parameters, counts.tolist(), strict=True):
            if count:
                gradient = torch.zeros_like(one) if one.grad is None else one.grad
                self._sum(gradient)
                one.grad = gradient

    def _sum(self, tensor: Tensor) -> None:
        self._group.allreduce([tensor]).wait()


def _trainable(model: Any) -> Iterator[Tensor]:
    """In the same order in every process."""
    return (
        one for _, one in sorted(model.named_parameters(), key=lambda named: named[0]) if one.requires_grad
    )
