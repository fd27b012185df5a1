"""A tree of tokens gives the log-probabilities and gradients of plain rows."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from training_image.generate import generate
from training_image.sampling import Sampling
from training_image.trainer.packing import Tree, log_probabilities
from training_image.trunk import trunk_layers

PROMPTS = [[5, 6, 7, 8]] * 3 + [[5, 6, 9]]
COMPLETIONS = [[20, 21, 22, 1], [20, 21, 30], [40, 1], [20, 1]]
TEMPERATURE = 0.8


@pytest.fixture
def model(tiny_caps: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_caps)


def _plain(model: Any) -> list[torch.Tensor]:
    rows = []
    for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True):
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0] / TEMPERATURE
        places = torch.arange(len(prompt) - 1, len(prompt) + len(completion) - 1)
        rows.append(torch.log_softmax(logits, dim=-1)[places, torch.tensor(completion)])
    return rows


def _weighted(rows: list[torch.Tensor], weights: list[float]) -> torch.Tensor:
    return torch.stack([weight * row.sum() for weight, row in zip(weights, rows, strict=True)]).sum()


def test_what_sequences_share_is_one_node() -> None:
    tree = Tree.of([[1, 2, 3], [1, 2, 4], [1, 2, 3]])

    assert tree.tokens == [1, 2, 3, 4]
    assert tree.depths == [0, 1, 2, 2]
    assert tree.paths == [[0, 1, 2], [0, 1, 3], [0, 1, 2]]
    assert tree.mask()[3].tolist() == [True, True, False, True]


def test_log_probabilities_are_those_of_plain_rows(model: Any) -> None:
    with torch.no_grad():
        packed, _ = log_probabilities(model, PROMPTS, COMPLETIONS, TEMPERATURE)
        plain = _plain(model)

    for one, other in zip(packed, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_plain_rows(model: Any) -> None:
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    weight = model.model.layers[0].self_attn.q_proj.weight.requires_grad_(True)
    advantages = [1.0, -0.5, 0.3, 2.0]

    packed, _ = log_probabilities(model, PROMPTS, COMPLETIONS, TEMPERATURE)
    _weighted(packed, advantages).backward()
    from_packed = weight.grad.clone()
    weight.grad = None
    _weighted(_plain(model), advantages).backward()

    torch.testing.assert_close(from_packed, weight.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_gradients_of_all_weights_are_those_of_plain_rows(model: Any, tied: bool) -> None:
    if not tied:
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    advantages = [1.0, -0.5, 0.3, 2.0]

    packed, _ = log_probabilities(model, PROMPTS, COMPLETIONS, TEMPERATURE)
    _weighted(packed, advantages).backward()
    from_packed = {name: one.grad.clone() for name, one in model.named_parameters()}
    model.zero_grad()
    _weighted(_plain(model), advantages).backward()

    assert ("lm_head.weight" in from_packed) is not tied
    for name, one in model.named_parameters():
        torch.testing.assert_close(from_packed[name], one.grad, rtol=1e-3, atol=1e-4, msg=name)


def test_what_sampling_has_left_of_the_trunk_gives_the_same_log_probabilities_and_gradients(
    model: Any,
) -> None:
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    weight = model.model.layers[1].mlp.up_proj.weight.requires_grad_(True)
    samplings = [Sampling(6, seed=seed) for seed in range(4)]
    made = generate(model, PROMPTS, samplings, stop_token_ids=[1], trunk=trunk_layers(model))
    completions = [one.token_ids + ([one.stop[0]] if one.stop else []) for one in made]
    trunks = [one.trunk for one in made if one.trunk is not None]

    again, _ = log_probabilities(model, PROMPTS, completions, 1.0)
    _weighted(again, [1.0, -0.5, 0.3, 2.0]).backward()
    gradient, weight.grad = weight.grad, None
    kept, _ = log_probabilities(model, PROMPTS, completions, 1.0, trunks)
    _weighted(kept, [1.0, -0.5, 0.3, 2.0]).backward()

    assert trunk_layers(model) == 1 and len(trunks) == 4
    torch.testing.assert_close(torch.cat(kept), torch.cat(again), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weight.grad, gradient, rtol=1e-3, atol=1e-5)


def test_there_is_no_trunk_where_the_embeddings_learn_or_the_layers_are_not_known(model: Any) -> None:
    assert trunk_layers(model) == 0

    model.requires_grad_(False)
    model.model.layers[1].mlp.up_proj.weight.requires_grad_(True)
    assert trunk_layers(model) == 1

    model.config.model_type = "gpt_oss"
    assert trunk_layers(model) == 0


def test_entropies_are_those_of_the_whole_distribution(model: Any) -> None:
    with torch.no_grad():
        _, entropies = log_probabilities(model, PROMPTS[:1], COMPLETIONS[:1], TEMPERATURE)
        logits = model(input_ids=torch.tensor([PROMPTS[0] + COMPLETIONS[0]])).logits[0, 3:-1] / TEMPERATURE

    expected = torch.distributions.Categorical(logits=logits).entropy()
    torch.testing.assert_close(entropies[0], expected, rtol=1e-4, atol=1e-5)
