"""One decode loop: greedy as transformers has it, draws a row's own, rows independent of their company."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training_image.constraints import Vocabulary
from training_image.draw import Row, draw
from training_image.generate import Sampling, arranged, generate, stop_tokens
from training_image.grammars import GrammarError, Thought, grammar, json_rule, response_format_grammar

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


def test_rows_that_say_the_same_so_far_are_computed_once(model: Any, prompts: list[list[int]]) -> None:
    seeds = [Sampling(20, temperature=0.7, seed=seed) for seed in range(4)]
    seeds += [GREEDY, Sampling(20, seed=4, logit_bias={7: 3.0})]
    computed: list[int] = []
    hook = model.model.layers[0].register_forward_pre_hook(lambda _, hidden: computed.append(len(hidden[0])))

    together = generate(
        model, [*prompts[:2] * 6], [one for one in seeds for _ in range(2)], stop_token_ids=[1]
    )
    hook.remove()

    alone = [
        generate(model, prompts[row % 2 :][:1], [seeds[row // 2]], stop_token_ids=[1])[0] for row in range(12)
    ]
    assert [one.token_ids for one in together] == [one.token_ids for one in alone]
    told = [
        {
            (row % 2, *one.token_ids[:length])
            for row, one in enumerate(together)
            if len(one.token_ids) >= length
        }
        for length in range(len(computed))
    ]
    assert computed == [len(distinct) for distinct in told]
    assert computed[:2] == [2, len(told[1])] and len(told[1]) < 12


@pytest.mark.parametrize(
    "heads",
    [
        [(0, 5), (0, 5), (1, 7)],
        [(3, 1), (3, 2), (2, 1)],
        [(1, 1), (1, 2), (1, 3), (0, 1)],
        [(2, 9)],
        [(4, 1), (0, 1), (4, 2), (2, 2)],
    ],
)
def test_a_slot_stays_where_it_is_unless_its_place_is_gone(heads: list[tuple[int, int]]) -> None:
    placed, slots = arranged(heads)

    assert [placed[slot] for slot in slots] == heads
    assert len(placed) == len(set(heads))
    moved = [place for place, (origin, _) in enumerate(placed) if origin != place]
    assert not {placed[place][0] for place in moved} & set(moved)
    assert all(placed[origin][0] == origin for origin, _ in placed if origin < len(placed))


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


def test_each_token_is_told_as_it_comes_and_the_listener_may_drop_a_row(
    model: Any, prompts: list[list[int]]
) -> None:
    told: list[list[Any]] = []

    def listen(tokens: list[Any]) -> list[bool]:
        told.append(tokens)
        return [True, len(told) < 3]

    made = generate(model, prompts[:2], [GREEDY] * 2, stop_token_ids=[], on_step=listen)

    assert [[step[row].id for step in told if step[row]] for row in range(2)] == [
        one.token_ids for one in made
    ]
    assert [len(one.token_ids) for one in made] == [20, 3]
    assert {one.finish_reason for one in made} == {"length"}


def test_a_constrained_row_keeps_to_its_form_beside_a_free_one(
    model: Any, tokenizer: Any, prompts: list[list[int]]
) -> None:
    stop = stop_tokens(model, tokenizer)
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["rome", "paris"]}, "sure": {"type": "boolean"}},
        "required": ["city", "sure"],
        "additionalProperties": False,
    }
    grammar = response_format_grammar({"type": "json_schema", "json_schema": {"schema": schema}})
    assert grammar
    constraint = Vocabulary(tokenizer, stop, model.config.vocab_size).constraint(grammar)
    held = [Sampling(60, temperature=t, seed=1, constraint=constraint) for t in (0.0, 1.0, 2.0)]

    *made, free = generate(model, prompts[:1] * 4, [*held, GREEDY], stop_token_ids=stop)

    answers = [json.loads(tokenizer.decode(one.token_ids)) for one in made]
    assert all(answer["city"] in ("rome", "paris") and type(answer["sure"]) is bool for answer in answers)
    assert {one.finish_reason for one in made} == {"stop"} and all(one.stop for one in made)
    assert free.token_ids == generate(model, prompts[:1], [GREEDY], stop_token_ids=stop)[0].token_ids


def test_a_constraint_does_not_change_the_log_probabilities_that_training_compares(
    model: Any, tokenizer: Any, prompts: list[list[int]]
) -> None:
    constraint = Vocabulary(tokenizer, [1], model.config.vocab_size).constraint(grammar('"zurich"'))

    one = generate(model, prompts[:1], [Sampling(9, constraint=constraint)], stop_token_ids=[1])[0]

    with torch.no_grad():
        logits = model(torch.tensor([prompts[0] + one.token_ids])).logits[0, len(prompts[0]) - 1 : -1]
    expected = torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(one.token_ids)[:, None]).squeeze(1)
    assert tokenizer.decode(one.token_ids) == "zurich"
    torch.testing.assert_close(torch.tensor(one.logprobs), expected, rtol=1e-4, atol=1e-4)


def test_a_bias_can_forbid_a_token_and_a_penalty_repetition(model: Any, prompts: list[list[int]]) -> None:
    plain = generate(model, prompts[:1], [GREEDY], stop_token_ids=[])[0].token_ids
    forbidding = Sampling(20, temperature=0, logit_bias={plain[0]: -100.0})
    penalized = Sampling(20, temperature=0, presence_penalty=2.0, frequency_penalty=2.0)
    bent = Sampling(20, temperature=0, frequency_penalty=-2.0)

    forbidden, varied, monotonous = (
        one.token_ids
        for one in generate(model, prompts[:1] * 3, [forbidding, penalized, bent], stop_token_ids=[])
    )

    assert plain[0] not in forbidden
    assert len(set(varied)) > len(set(plain)) >= len(set(monotonous))


def test_log_probabilities_are_told_at_temperature_one_with_the_likeliest(
    model: Any, prompts: list[list[int]]
) -> None:
    told: list[Any] = []

    def listen(tokens: list[Any]) -> list[bool]:
        told.extend(token for token in tokens if token)
        return [True]

    sampling = Sampling(4, temperature=0, top_logprobs=3)
    one = generate(model, prompts[:1], [sampling], stop_token_ids=[], on_step=listen)[0]

    with torch.no_grad():
        logits = model(torch.tensor([prompts[0] + one.token_ids])).logits[0, len(prompts[0]) - 1 : -1]
    best = torch.log_softmax(logits, dim=-1).topk(3)
    assert [[id for id, _ in token.top] for token in told] == best.indices.tolist()
    assert [token.top[0] for token in told] == [(token.id, token.logprob) for token in told]
    torch.testing.assert_close(torch.tensor([token.logprob for token in told]), best.values[:, 0])


@pytest.mark.parametrize("schema", [{"type": "circle"}, {"not": {"type": "string"}}, {"pattern": "(?=a)"}])
def test_a_schema_that_cannot_be_kept_to_is_refused_with_the_reason(
    tokenizer: Any, schema: dict[str, Any]
) -> None:
    vocabulary = Vocabulary(tokenizer, [1], 100)

    with pytest.raises(GrammarError, match=r"Invalid type: circle|\[\"not\"\]|look-ahead"):
        vocabulary.constraint(grammar(json_rule({"type": "string", **schema})))


@pytest.mark.parametrize(
    ("thought", "taken", "refused"),
    [
        ("none", ["5"], ["<think>a</think>5", "a"]),
        ("optional", ["5", "<think>a</think>5", "<think>a\nb</think>\n\n5"], ["a</think>5", "a"]),
        ("open", ["a</think>\n5", "</think>5"], ["5"]),
    ],
)
def test_a_thought_may_come_before_what_is_constrained(
    tokenizer: Any, thought: Thought, taken: list[str], refused: list[str]
) -> None:
    constraint = Vocabulary(tokenizer, [1], 100).constraint(grammar(json_rule({"type": "integer"}), thought))

    def may_end(text: str) -> bool:
        guide = constraint.start()
        for token in tokenizer.encode(text):
            if not guide.allowed()[token]:
                return False
            guide.accept(token)
        return bool(guide.allowed()[1])

    assert all(may_end(text) for text in taken)
    assert not any(may_end(text) for text in refused)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_no_numbers_are_an_error_and_no_token(temperature: float) -> None:
    rows = [Row(Sampling(3, temperature), torch.rand(3), None) for _ in range(2)]
    logits = torch.zeros(2, 7)
    logits[1, 3] = torch.nan

    with pytest.raises(FloatingPointError, match="not numbers"):
        draw(logits, rows, 0)
