"""How verl has a completion written here: the prompt as one machine writes it, a seed of its own, and its
reward as soon as it is there. In each of verl's agent loop processes, on every host.
"""

# pyright: reportMissingImports=false
# verl and Ray are in this image alone.

from functools import cache
from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput
from verl.utils.profiler import simple_timer

from outcrop.graders.pipeline import GraderPipeline
from outcrop.settings import settings
from outcrop.training_spec import TrainingSpec
from training_image.trainer import dataset
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.seeds import draw_seed
from training_image.verl.files import VALIDATION
from training_image.verl.reward import Grading, is_cut_off

SCORED = "outcrop"
"""Among a completion's extra fields: the `Scored` as JSON."""
_CONCURRENCY = 64
"""Gradings at a time of all these processes together."""


class OutcropAgentLoop(AgentLoopBase):
    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput:
        spec, chat, rows = _spec(), _chat(self.tokenizer), _rows(row["data_source"])
        index, session = int(row["index"]), int(row["session_id"])
        validates = row["data_source"] == VALIDATION
        prompt = chat.tokens(dataset.question(rows, index))
        most = spec.hyperparameters.max_completion_length
        # The same draws at every evaluation, and others at every step.
        step = -1 if validates else int(row["global_steps"])
        asked = {**sampling_params, "max_tokens": most, "seed": draw_seed(spec.seed, step, index, session)}
        if validates and session == 0:
            asked["temperature"] = 0.0
        metrics: dict[str, Any] = {}
        with simple_timer("generate_sequences", metrics):
            made = await self.server_manager.generate(
                request_id=f"{step}-{index}-{session}", prompt_ids=prompt, sampling_params=asked
            )
        ids = list(made.token_ids)[:most]
        stops = {self.tokenizer.eos_token_id, *_stops(self.config.actor_rollout_ref.model.path)}
        cut_off = is_cut_off(ids, most, stops)
        text = chat.text(ids if cut_off or not ids or ids[-1] not in stops else ids[:-1])
        with simple_timer("compute_score", metrics):
            grading = _grading(self.tokenizer, self.rollout_config.agent.num_workers)
            scored = await grading.grade(rows, index, session, text, is_cut_off=cut_off)
        return AgentLoopOutput(
            prompt_ids=prompt,
            response_ids=ids,
            response_mask=[1] * len(ids),
            response_logprobs=list(made.log_probs)[: len(ids)] if made.log_probs else None,
            reward_score=scored.reward.reward
            or 0.0,  # of one without a reward, the trainer lets nothing count
            num_turns=2,
            metrics={"num_preempted": -1, **metrics},
            extra_fields={
                **made.extra_fields,
                "turn_scores": [],
                "tool_rewards": [],
                "reward_extra_info": {SCORED: scored.to_json()},
            },
        )


@cache
def _spec() -> TrainingSpec:
    path = settings().ml_path / "input/data/config/spec.json"
    return TrainingSpec.model_validate_json(path.read_bytes())


@cache
def _rows(channel: str) -> list[dict[str, Any]]:
    return dataset.rows(settings().ml_path / "input/data" / channel)


@cache
def _chat(tokenizer: Any) -> ChatFormat:
    return ChatFormat(tokenizer, _spec().hyperparameters.reasoning_effort)


@cache
def _grading(tokenizer: Any, processes: int) -> Grading:
    spec = _spec()
    concurrency = max(1, _CONCURRENCY // processes)
    pipeline = GraderPipeline(spec.grader, concurrency=concurrency, judges=spec.judges, project=spec.project)
    return Grading(pipeline, _chat(tokenizer).read, concurrency=concurrency)


@cache
def _stops(model: str) -> tuple[int, ...]:
    from transformers import GenerationConfig

    found = GenerationConfig.from_pretrained(model).eos_token_id
    return tuple(found) if isinstance(found, list) else (found,) if found is not None else ()
