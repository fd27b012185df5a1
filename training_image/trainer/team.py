"""Several GPUs of one machine, a process each. This one leads: it runs the job, as on one GPU. The others
sample their share of the prompts, and compute the gradients of their share of a step's groups.
"""

import atexit
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, multiprocessing

from outcrop.training_spec import TrainingSpec
from training_image.generate import Generated, OnEnd
from training_image.sampling import Sampling
from training_image.trainer import policy_files
from training_image.trainer.errors import TrainingError
from training_image.trainer.exchange import Exchange
from training_image.trainer.follower import follow
from training_image.trainer.sampler import Sampler

_PATIENCE_SECONDS = 20


def gpus(only_sampling: int) -> tuple[range, range]:
    """Those of the machine that train, and those that only sample. This process, the first one's, sees no
    other: TRL would spread each batch over all that it sees.

    Raises: TrainingError if none is left to train.
    """
    found = torch.cuda.device_count()
    if not found:
        return range(0), range(0)
    if only_sampling >= found:
        raise TrainingError(
            f"The setting sampler_gpus is {only_sampling}, and the machine has {found} GPUs: one at least "
            "has to train. Lower it, or ask for a larger instance in instance_types."
        )
    os.environ["CUDA_VISIBLE_DEVICES"] = "0"
    return range(found - only_sampling), range(found - only_sampling, found)


class Team:
    def __init__(self, spec: TrainingSpec, root: Path, size: int) -> None:
        """Starts `size` - 1 followers, each on the GPU of its number. They load the model meanwhile."""
        self.size = size
        context = multiprocessing.get_context("spawn")
        self._rendezvous = Path(tempfile.mkdtemp()) / "rendezvous"
        self.followers: list[Connection] = []
        self._processes: list[Any] = []
        for rank in range(1, size):
            own, theirs = context.Pipe()
            arguments = (theirs, rank, size, self._rendezvous, spec.model_dump_json(), root)
            process = context.Process(target=follow, args=arguments)  # no daemon: vLLM is a child of its own
            process.start()
            theirs.close()  # so that an end of the process is the end of what can be read
            self.followers.append(own)
            self._processes.append(process)
        self._exchange: Exchange | None = None
        self._version: int | None = None
        atexit.register(self.close)

    def close(self) -> None:
        """The followers end when there is nobody to tell them anything."""
        for follower in self.followers:
            follower.close()
        for process in self._processes:
            process.join(_PATIENCE_SECONDS)
            process.kill()

    @property
    def exchange(self) -> Exchange:
        if self._exchange is None:
            for place in range(len(self.followers)):
                self.receive(place)  # that it is ready
            self._exchange = Exchange(0, self.size, self._rendezvous)
        return self._exchange

    def receive(self, place: int) -> Any:
        """Raises: what went wrong in the follower."""
        try:
            said, content = self.followers[place].recv()
        except EOFError:
            raise TrainingError(
                f"The process that trains on GPU {place + 1} ended: was its memory full? The training job's "
                "log has its last words."
            ) from None
        if said == "failed":
            raise content
        return content

    def tell(self, model: Any, what: str, contents: Sequence[Any]) -> None:
        """A command to all, each with its own content; first the policy as it is now, if it has changed."""
        exchange = self.exchange
        version = policy_files.version(model)
        for follower in self.followers:
            follower.send(("weights" if version != self._version else "no weights", None))
        if version != self._version:
            exchange.spread_weights(model)
            self._version = version
        for follower, content in zip(self.followers, contents, strict=True):
            follower.send((what, content))

    def hand_out(self, model: Any, batches: Sequence[dict[str, Any]] | None) -> None:
        """To each follower the groups of a step whose gradients it computes; the others are the leader's.
        None: those of the update before, of which it knows what the policy said then."""
        shares = [
            None if batches is None else [_moved(one) for one in batches[rank :: self.size]]
            for rank in range(1, self.size)
        ]
        self.tell(model, "train", shares)

    def is_own(self, place: int) -> bool:
        """Whether the leader computes the gradients of this group of the step."""
        return place % self.size == 0

    def add_gradients(self, model: Any) -> list[tuple[float, dict[str, list[float]]]]:
        """The followers' gradients to the leader's; the loss of each, and what it has measured."""
        measured = [self.receive(place) for place in range(len(self.followers))]
        self.exchange.add_gradients(model)
        return measured


class TeamSampler:
    """Each process samples a share with a sampler of its own."""

    def __init__(self, team: Team, own: Sampler) -> None:
        self._team = team
        self._own = own

    def sample(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        *,
        on_end: OnEnd | None = None,
    ) -> list[Generated]:
        ends = [len(prompts) * (rank + 1) // self._team.size for rank in range(self._team.size)]
        starts = [0, *ends[:-1]]
        asked = [
            (
                [*prompts[start:end]],
                [replace(one, constraint=None) for one in samplings[start:end]],
                [one.constraint and one.constraint.grammar for one in samplings[start:end]],
            )
            for start, end in zip(starts[1:], ends[1:], strict=True)
        ]
        self._team.tell(model, "sample", asked)
        made: dict[int, Generated] = {}

        def end(place: int, one: Generated) -> None:
            made[place] = one
            if on_end:
                on_end(place, one)

        def read(follower: int) -> None:
            place, one = self._team.receive(follower)
            end(starts[follower + 1] + place, one)

        def end_own(place: int, one: Generated) -> None:
            end(place, one)
            for follower, connection in enumerate(self._team.followers):
                while connection.poll():
                    read(follower)

        if ends[0]:
            self._own.sample(model, prompts[: ends[0]], samplings[: ends[0]], on_end=end_own)
        for follower in range(len(self._team.followers)):
            while any(place not in made for place in range(starts[follower + 1], ends[follower + 1])):
                read(follower)
        return [made[place] for place in range(len(prompts))]


def _moved(batch: dict[str, Any]) -> dict[str, Any]:
    """Without a GPU's memory, which another process cannot read."""
    return {name: one.cpu() if isinstance(one, Tensor) else one for name, one in batch.items()}
