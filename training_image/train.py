"""Spec in, model out: reinforcement fine-tuning of one job, under SageMaker's container contract.

Reads `input/data/config/spec.json` and the channels `training`, `validation` (optional) and `model`; writes
events, metrics and checkpoints to the table, adapters (or whole weights), rollouts and `result.json` to the
bucket, resume state to `checkpoints/`, the adapter or model to `model/`, and on failure the reason to
`output/failure`. SIGTERM ends it at once while completions are sampled or graded, and else after the step.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from outcrop.errors import StateError
from outcrop.graders.pipeline import GraderPipeline
from outcrop.settings import settings
from outcrop.stores.jobs import JobStore
from outcrop.training_spec import TrainingSpec
from training_image.trainer.errors import GraderFailing, write_failure
from training_image.trainer.stopping import Interrupted, Stop, heeding_sigterm


def main() -> None:
    under_contract(train)


def under_contract(run: Callable[[TrainingSpec, Path, Stop], None]) -> None:
    """`run` gets the spec, SageMaker's folder, and what is set by SIGTERM; what it raises is in
    `output/failure`."""
    root = settings().ml_path
    stop = heeding_sigterm()
    try:
        spec = TrainingSpec.model_validate_json((root / "input/data/config/spec.json").read_bytes())
        if _enter(spec):
            run(spec, root, stop)
    except Exception as error:  # whatever went wrong is told to the job's owner in words
        traceback.print_exc()
        write_failure(error, root)
        sys.exit(1)


def train(spec: TrainingSpec, root: Path, stop: Stop) -> None:
    # Seconds of imports: a job that is over already should not pay for them.
    import torch

    from training_image.generate import stop_tokens
    from training_image.sampling import Sampling
    from training_image.trainer import checkpoints, dataset, grpo, peak_memory, policy, preflight
    from training_image.trainer.chat_format import ChatFormat
    from training_image.trainer.evaluate import Evaluator
    from training_image.trainer.forms import forms as forms_of
    from training_image.trainer.history import History
    from training_image.trainer.probe import check_policy_is_sampled
    from training_image.trainer.prompts import PromptQueue
    from training_image.trainer.reporter import HISTORY, PROMPTS, Reporter
    from training_image.trainer.rewards import Rewards
    from training_image.trainer.rollouts import Rollouts
    from training_image.trainer.run_report import RunReport
    from training_image.trainer.sampler_choice import choose
    from training_image.trainer.step_events import StepEvents
    from training_image.trainer.team import Team, TeamSampler, gpus
    from training_image.trainer.vllm_server import ServedSampler
    from training_image.trainer.witness import witnessed

    torch.set_num_threads(os.cpu_count() or 1)
    numbers, channels, state = spec.hyperparameters, root / "input/data", root / "checkpoints"
    events = StepEvents(spec.project, spec.job_id)
    rows = dataset.rows(channels / "training")
    validation = dataset.rows(channels / "validation") if (channels / "validation").is_dir() else []
    training_gpus, sampling_gpus = gpus(int(settings().sampler_gpus))
    team = Team(spec, root, len(training_gpus)) if len(training_gpus) > 1 else None
    base = channels / "model"
    model, tokenizer = policy.load(base, numbers.attention, learns=numbers.learns_all_weights)

    resumed = checkpoints.newest(
        state,
        lambda folder, problem: events.append(
            "warn", f"Checkpoint {folder.name} was passed over: {problem}."
        ),
    )
    if resumed:
        preflight.check_checkpoint(resumed, spec)
    history = History.from_json(json.loads((resumed / HISTORY).read_bytes())) if resumed else History()
    prompts = PromptQueue(len(rows), spec.seed)
    if resumed:
        prompts.restore(json.loads((resumed / PROMPTS).read_bytes()))
    grader = GraderPipeline(spec.grader, judges=spec.judges, project=spec.project)
    chat = ChatFormat(tokenizer, numbers.reasoning_effort)
    longest = preflight.check_lengths(
        {"training": rows, "validation": validation},
        chat,
        context=model.config.max_position_embeddings,
        completion=numbers.max_completion_length,
    )
    rewards = Rewards(grader, rows, read=chat.read, failure_limit=numbers.grader_failure_limit)
    sampling = Sampling(numbers.max_completion_length, numbers.temperature)
    forms = forms_of(spec.response_format, chat, model, tokenizer)
    sampler = choose(
        settings().sampler,
        base,
        stop_tokens(model, tokenizer),
        context=longest + numbers.max_completion_length,
        seed=spec.seed,
        gpus=sampling_gpus,
        learning=policy.learning(model, numbers),
        tell=lambda text: events.append("warn", text),
    )
    bound = grpo.sampler_gap(model)
    is_shared = team and not isinstance(sampler, ServedSampler)
    sampler = witnessed(sampler, forms, bound=bound)
    if team and is_shared:
        sampler = TeamSampler(team, sampler)
    report = RunReport(spec, history, events, validation, base=base, is_told_to_stop=stop.is_set)
    reporter = Reporter(
        spec,
        report,
        rewards,
        Evaluator(
            grader, validation, chat, sampler, samples=numbers.eval_samples, sampling=sampling, forms=forms
        )
        if validation
        else None,
        checkpoint_folder=state,
        interruptible=stop.interrupts,
    )
    reporter.trainer = grpo.GroupTrainer(
        model=model,
        args=grpo.config(numbers, seed=spec.seed, folder=root / "output"),
        train_dataset=dataset.placeholders(numbers.max_steps * numbers.prompts_per_step),
        processing_class=tokenizer,
        peft_config=None if numbers.learns_all_weights else policy.adapter(model, numbers),
        callbacks=[reporter],
        rollouts=Rollouts(
            rows=rows,
            prompts=prompts,
            chat=chat,
            sampler=sampler,
            sampling=sampling,
            rewards=rewards,
            forms=forms,
            replacements=round(numbers.dynamic_sampling_budget * numbers.prompts_per_step),
        ),
        save=reporter.save,
        team=team,
        interruptible=stop.interrupts,
    )
    check_policy_is_sampled(
        reporter.trainer.model,
        sampler,
        chat.tokens(dataset.question(rows, 0)),
        bound=bound,
    )
    report.begin(len(rows), len(validation), resumed_at=int(resumed.name[5:]) if resumed else None)
    if not resumed:
        peak = peak_memory.estimate(model, numbers, prompt_tokens=longest)
        there_is = peak_memory.there_is_gb()
        events.append(
            "info" if peak.gb < there_is else "warn",
            f"Estimated peak memory: {peak}, of {there_is:.1f} GB.",
            data={"step": 0},
        )
    try:
        if 0 not in history.evaluations:
            reporter.evaluate(0)
        if not report.stops_early:  # else the checkpoint is of its last step
            reporter.trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    except Interrupted:
        reporter.leave()
    except GraderFailing:
        reporter.tell_failed_step()
        raise
    if not reporter.was_stopped:
        reporter.finish(root / "model")


def _enter(spec: TrainingSpec) -> bool:
    """Move the job to `running`; False if there is nothing to do: it is over, paused, or attempted anew."""
    jobs = JobStore(spec.project)
    try:
        jobs.transition(spec.job_id, "running", of_attempt=spec.attempt)
    except StateError:  # it may be running already: SageMaker restarts a container that was interrupted
        job = jobs.get(spec.job_id)
        return job.status == "running" and job.attempt == spec.attempt and not job.pause_requested
    return True


if __name__ == "__main__":
    main()
