"""verl's synchronous trainer, adapted: what has no reward teaches nothing, and each step is told as on one
machine. Held to verl 0.9.1 (`trainer/ppo/v1/trainer_base.py`), whose steps these methods are.
"""

# pyright: reportMissingImports=false
# verl and Ray are in this image alone.

import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
import transfer_queue as tq
from verl.single_controller.base.decorator import Dispatch, register
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils import tensordict_utils as tu
from verl.utils.fsdp_utils import collect_lora_params
from verl.workers.engine_workers import ActorRolloutRefWorker

from outcrop.training_spec import TrainingSpec
from training_image.verl import checkpoints
from training_image.verl.adapter import Adapter
from training_image.verl.agent_loop import SCORED
from training_image.verl.reporting import Reporting
from training_image.verl.reward import Scored, compared, learned_from


class AdapterWorker(ActorRolloutRefWorker):
    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def adapter(self) -> dict[str, torch.Tensor] | None:
        """Gathered from all GPUs, which all have to take part; the first process has it."""
        found = collect_lora_params(
            module=self.actor.engine.module, layered_summon=False, base_sync_done=True
        )
        return dict(found) if self.rank == 0 else None


class OutcropTrainer(PPOTrainerSync):
    """Its maker sets what it tells by, before `init`."""

    spec: TrainingSpec
    reporting: Reporting
    state: Path

    def _init_resource_pool_mgr(self) -> None:
        super()._init_resource_pool_mgr()
        worker = ray.remote(AdapterWorker)
        for role in self.role_worker_mapping:  # there is no critic: all of them are the policy's
            self.role_worker_mapping[role] = worker

    def _validate(self) -> dict[str, float]:
        self._validation_began = time.perf_counter()
        return super()._validate()

    def _val_metrics_update(
        self,
        data_sources: Any,
        sample_uids: Any,
        reward_extra_infos_dict: dict[str, list[Any]],
        sample_turns: Any,
        expected_acc_counts: Any = None,
    ) -> dict[str, float]:
        scored = [Scored.from_json(one) for one in reward_extra_infos_dict[SCORED] if one]
        self.reporting.evaluate(self.global_steps, scored, time.perf_counter() - self._validation_began)
        return {"val-core/reward": self.reporting.validation_reward(self.global_steps)}

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        """A completion without a reward leaves its group, so that neither mean nor deviation know it, and has
        no token that counts."""
        fields = ["uid", "extra_fields", "response_mask"]
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        real = [place for place, tag in enumerate(batch.tags) if not tag.get("is_padding", False)]
        extra = data["extra_fields"].tolist()
        groups = data["uid"].tolist()
        self._scored = [Scored.from_json(extra[place]["reward_extra_info"][SCORED]) for place in real]
        self._groups = [groups[place] for place in real]
        self.reporting.check(self.global_steps, self._scored)
        overlong = self.spec.hyperparameters.overlong_completions
        alone = compared(self._scored, self._groups)
        learned = learned_from(self._scored, self._groups, overlong)
        masks = list(data["response_mask"].unbind())
        for place, is_compared, is_learned in zip(real, alone, learned, strict=True):
            if not is_compared:
                groups[place] = f"{groups[place]}-{place}"
            if not is_learned:
                masks[place] = torch.zeros_like(masks[place])
        masked = torch.nested.as_nested_tensor(masks, layout=torch.jagged)
        changed = {"uid": np.array(groups, dtype=object), "response_mask": masked, "loss_mask": masked}
        tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=tu.get_tensordict(changed))
        batch = super()._compute_advantage(batch, metrics)
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["advantages"])
        advantages = data["advantages"].unbind()
        self._advantages = [advantages[place].flatten()[:1].sum().item() for place in real]
        return batch

    def _compute_metrics(
        self, batch: Any, metrics: dict[str, Any], timing_raw: Any, global_steps: int, epoch: int
    ) -> None:
        """The last of a step, validation included: it is told, and saved if it is time."""
        super()._compute_metrics(batch, metrics, timing_raw, global_steps=global_steps, epoch=epoch)
        numbers = self.spec.hyperparameters
        goes_on = self.reporting.step(
            global_steps, self._scored, self._groups, self._advantages, measured=metrics
        )
        if not goes_on:
            self.total_training_steps = global_steps  # ends verl's loop
        if goes_on and global_steps % numbers.save_steps:
            return
        weights = next(one for one in self.actor_rollout_wg.adapter() if one is not None)
        self.reporting.publish(global_steps, Adapter(weights, numbers))
        folder = checkpoints.folder(self.state, global_steps)
        self.reporting.write_state(folder)
        self._save_checkpoint()
