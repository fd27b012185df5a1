""" "auto" becomes numbers."""

import pytest
from pydantic import ValidationError

from outcrop.base_models import BaseModel, find
from outcrop.hyperparameters import resolve
from outcrop.types.method import ReinforcementHyperparameters


@pytest.fixture
def model() -> BaseModel:
    found = find("tiny-caps")
    assert found is not None
    return found


def test_auto_takes_the_models_own_defaults(model: BaseModel) -> None:
    resolved = resolve(ReinforcementHyperparameters(), model, rows=1000)

    assert resolved.prompts_per_step == model.batch_size
    assert resolved.num_generations == model.num_generations
    assert resolved.learning_rate == model.learning_rate
    assert resolved.max_completion_length == model.max_completion_length
    assert resolved.temperature == 1.0
    assert resolved.beta == 0.0
    assert (resolved.grader_warning_limit, resolved.grader_failure_limit) == (0.1, 0.5)


def test_a_small_file_is_read_often_enough_for_24_steps(model: BaseModel) -> None:
    resolved = resolve(ReinforcementHyperparameters(), model, rows=16)

    assert resolved.max_steps == 24


def test_a_large_file_is_read_once(model: BaseModel) -> None:
    resolved = resolve(ReinforcementHyperparameters(), model, rows=801)

    assert resolved.max_steps == 101


def test_a_batch_is_never_larger_than_the_file(model: BaseModel) -> None:
    resolved = resolve(ReinforcementHyperparameters(batch_size=64, n_epochs=2), model, rows=3)

    assert resolved.prompts_per_step == 3
    assert resolved.max_steps == 2


def test_epochs_count_whole_passes_over_the_file(model: BaseModel) -> None:
    resolved = resolve(ReinforcementHyperparameters(batch_size=4, n_epochs=3), model, rows=10)

    assert resolved.max_steps == 9


def test_the_learning_rate_is_a_multiple_of_the_models(model: BaseModel) -> None:
    resolved = resolve(ReinforcementHyperparameters(learning_rate_multiplier=0.5), model, rows=10)

    assert resolved.learning_rate == pytest.approx(model.learning_rate / 2)


@pytest.mark.parametrize(("multiplier", "completions"), [(0.001, 2), (0.5, 4), (2.0, 16), (10.0, 64)])
def test_compute_scales_the_completions_of_a_prompt_within_what_a_group_may_have(
    model: BaseModel, multiplier: float, completions: int
) -> None:
    resolved = resolve(ReinforcementHyperparameters(compute_multiplier=multiplier), model, rows=10)

    assert resolved.num_generations == completions


def test_num_generations_overrides_the_compute_multiplier(model: BaseModel) -> None:
    asked = ReinforcementHyperparameters(compute_multiplier=4.0, num_generations=3)

    assert resolve(asked, model, rows=10).num_generations == 3


def test_where_all_weights_learn_there_is_no_adapter_and_a_smaller_step(model: BaseModel) -> None:
    asked = ReinforcementHyperparameters(finetuning_type="full", learning_rate_multiplier=2.0)

    adapter, full = resolve(ReinforcementHyperparameters(), model, rows=10), resolve(asked, model, rows=10)

    assert full.learns_all_weights and not adapter.learns_all_weights
    assert (full.lora_r, full.lora_layers, full.lora_targets, full.lora_parameters) == (0, None, (), ())
    assert full.learning_rate == pytest.approx(2 * model.learning_rate / 20)


def test_how_often_a_grader_may_fail_is_the_jobs_own_to_say(model: BaseModel) -> None:
    asked = ReinforcementHyperparameters(grader_warning_limit=0, grader_failure_limit=1.0)

    resolved = resolve(asked, model, rows=100)

    assert (resolved.grader_warning_limit, resolved.grader_failure_limit) == (0, 1)


def test_a_job_ends_early_if_it_asks_for_that_only(model: BaseModel) -> None:
    patient = resolve(ReinforcementHyperparameters(), model, rows=10)
    impatient = resolve(ReinforcementHyperparameters(early_stopping_patience=2), model, rows=10)

    assert (patient.early_stopping_patience, impatient.early_stopping_patience) == (None, 2)


def test_evaluations_and_checkpoints_come_about_five_times_a_run(model: BaseModel) -> None:
    resolved = resolve(ReinforcementHyperparameters(n_epochs=10, batch_size=1), model, rows=10)

    assert resolved.max_steps == 100
    assert resolved.eval_interval == resolved.save_steps == 20


def test_a_run_of_one_step_is_evaluated_after_it(model: BaseModel) -> None:
    resolved = resolve(ReinforcementHyperparameters(n_epochs=1), model, rows=1)

    assert resolved.max_steps == 1
    assert resolved.eval_interval == 1


@pytest.mark.parametrize(
    ("loss", "trl"),
    [
        ("dapo", ("dapo", "token", "group", 0.2, 0.28)),
        ("dr_grpo", ("dr_grpo", "token", "none", 0.2, 0.2)),
        ("cispo", ("cispo", "token", "group", 0.2, 5.0)),
        ("gspo", ("grpo", "sequence", "group", 3e-4, 4e-4)),
    ],
)
def test_a_loss_has_trls_settings_and_its_papers_clipping(
    model: BaseModel, loss: str, trl: tuple[object, ...]
) -> None:
    resolved = resolve(ReinforcementHyperparameters.model_validate({"loss_type": loss}), model, rows=10)

    assert trl == (
        resolved.loss_type,
        resolved.importance_sampling_level,
        resolved.scale_rewards,
        resolved.epsilon,
        resolved.epsilon_high,
    )


def test_one_epsilon_is_for_both_sides_as_in_trl(model: BaseModel) -> None:
    lower = resolve(ReinforcementHyperparameters(epsilon=0.1), model, rows=10)
    higher = resolve(ReinforcementHyperparameters(epsilon_high=0.4), model, rows=10)

    assert (lower.epsilon, lower.epsilon_high) == (0.1, 0.1)
    assert (higher.epsilon, higher.epsilon_high) == (0.2, 0.4)


def test_every_batch_is_learned_from_before_anything_is_saved(model: BaseModel) -> None:
    asked = ReinforcementHyperparameters(n_epochs=2, num_iterations=3, eval_interval=4)

    resolved = resolve(asked, model, rows=16)

    assert resolved.max_steps == 4 * 3
    assert resolved.eval_interval == resolved.save_steps == 6


@pytest.mark.parametrize(
    ("loss", "given", "reason"),
    [
        ("sapo", {"epsilon": 0.2}, "the loss 'sapo' does not use it"),
        ("vespo", {"epsilon_high": 0.2}, "the loss 'vespo' does not use it"),
        ("cispo", {"epsilon": 0.2}, "the loss 'cispo' does not use it"),
        ("cispo", {"epsilon_high": 0.28}, "should be 1 or more"),
    ],
)
def test_an_epsilon_that_a_loss_has_no_use_for_is_refused(
    loss: str, given: dict[str, float], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        ReinforcementHyperparameters.model_validate({"loss_type": loss, **given})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 257),
        ("n_epochs", 51),
        ("learning_rate_multiplier", 0),
        ("compute_multiplier", 1e-5),
        ("compute_multiplier", 10.1),
        ("eval_interval", 0),
        ("eval_samples", 0),
        ("reasoning_effort", "extreme"),
        ("num_generations", 1),
        ("temperature", 0),
        ("beta", -1),
        ("early_stopping_patience", 0),
        ("loss_type", "ppo"),
        ("epsilon", 1),
        ("epsilon_high", 0),
        ("num_iterations", 0),
        ("overlong_completions", "drop"),
        ("dynamic_sampling_budget", -1),
        ("grader_warning_limit", -0.1),
        ("grader_failure_limit", 1.1),
        ("grader_failure_limit", True),
    ],
)
def test_what_is_out_of_openais_range_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        ReinforcementHyperparameters.model_validate({name: value})
