"""One decode loop: greedy as transformers has it, draws a row's own, rows independent of their company."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training_image.generate import Sampling, generate, stop_tokens

GREEDY = Sampling(max_tokens=20, temperature=0)
QUESTIONS = ["capital of france?", "what is the capital of italy?", "peru: capital?"]


@pytest.fixture(scope="module")
def model(tiny_caps: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_caps)


@pytest.fixture(scope="module")
def tokenizer(tiny_caps: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_caps)


@pytest.fixture(scope="module")
def prompts(tokenizer: Any) -> list[list[int]]:
    """Of different lengths."""
    return [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_dict=False
        )
        for question in QUESTIONS
    ]


def test_greedy_is_what_transformers_generates(model: Any, tokenizer: Any, prompts: list[list[int]]) -> None:
    stop = stop_tokens(model, tokenizer)

    made = generate(model, [*prompts, prompts[0]], [GREEDY] * 4, stop_token_ids=stop)

    for prompt, one in zip([*prompts, prompts[0]], made, strict=True):
        expected = model.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False)[
            0, len(prompt) :
        ]
        assert one.token_ids == [token for token in expected.tolist() if token not in stop]
        assert one.finish_reason == "stop"


def test_log_probabilities_are_those_of_a_forward_pass(model: Any, prompts: list[list[int]]) -> None:
    sampling = Sampling(max_tokens=12, temperature=0.7, seed=3)

    one = generate(model, prompts[:1], [sampling], stop_token_ids=[])[0]

    with torch.no_grad():
        logits = model(torch.tensor([prompts[0] + one.token_ids])).logits[0, len(prompts[0]) - 1 : -1] / 0.7
    expected = torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(one.token_ids)[:, None]).squeeze(1)
    torch.testing.assert_close(torch.tensor(one.logprobs), expected, rtol=1e-4, atol=1e-4)


def test_a_seeded_row_draws_the_same_in_any_company(model: Any, prompts: list[list[int]]) -> None:
    seeded = Sampling(max_tokens=20, temperature=1.0, top_p=0.9, seed=5)

    alone = generate(model, prompts[:1], [seeded], stop_token_ids=[1])[0]
    others = generate(model, prompts, [seeded, Sampling(20, seed=1), GREEDY], stop_token_ids=[1])[0]

    assert alone.token_ids == others.token_ids


def test_a_tiny_top_p_leaves_the_likeliest_token(model: Any, prompts: list[list[int]]) -> None:
    narrow = Sampling(max_tokens=20, temperature=1.0, top_p=1e-6, seed=1)

    drawn, likeliest = (
        generate(model, prompts, [sampling] * 3, stop_token_ids=[1]) for sampling in (narrow, GREEDY)
    )

    assert [one.token_ids for one in drawn] == [one.token_ids for one in likeliest]


def test_a_row_ends_at_its_own_max_tokens(model: Any, prompts: list[list[int]]) -> None:
    samplings = [Sampling(max_tokens=length, temperature=0) for length in (1, 3, 2)]

    made = generate(model, prompts, samplings, stop_token_ids=[])

    assert [len(one.token_ids) for one in made] == [1, 3, 2]
    assert {one.finish_reason for one in made} == {"length"}


def test_each_token_is_told_as_it_comes_and_the_listener_may_stop(
    model: Any, prompts: list[list[int]]
) -> None:
    told: list[list[int | None]] = []

    def listen(tokens: list[int | None]) -> bool:
        told.append(tokens)
        return len(told) < 3

    made = generate(model, prompts[:2], [GREEDY] * 2, stop_token_ids=[1], on_step=listen)

    assert [[step[row] for step in told] for row in range(2)] == [one.token_ids for one in made]
    assert {one.finish_reason for one in made} == {"length"}
