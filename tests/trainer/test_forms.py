"""A job's `response_format` on GPT-OSS and Qwen3, tiny and random: it binds what is said, not what is
thought, and where a row has tools a call may stand in its place; vLLM reads the same of it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy
import pytest
import torch

from tests import tiny_architectures
from training_image.generate import Generated, generate, stop_tokens
from training_image.sampling import Sampling
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.forms import Forms, forms

Family = Literal["gptoss", "qwen3"]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["rome", "paris"]}, "sure": {"type": "boolean"}},
    "required": ["city", "sure"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "Of today.", "parameters": {}}}
PROMPT = [{"role": "user", "content": "Where does it rain?"}]
QUESTION: dict[str, Any] = {"prompt": PROMPT, "tools": []}
WITH_TOOLS: dict[str, Any] = {"prompt": PROMPT, "tools": [WEATHER]}
ANSWER = '{"city": "rome", "sure": true}'
FINAL = f"<|channel|>final<|message|>{ANSWER}<|return|>"
CALL = '<tool_call>\n{"name": "weather", "arguments": {}}\n</tool_call>'


class Policy:
    def __init__(self, family: Family, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tiny_architectures.build("gpt-oss" if family == "gptoss" else "qwen3", folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.chat = ChatFormat(self.tokenizer)
        self.stop = stop_tokens(self.model, self.tokenizer)
        self.forms: Forms = forms(FORMAT, self.chat, self.model, self.tokenizer)

    def completions(self, question: dict[str, Any], likely: Mapping[str, float]) -> list[Generated]:
        """As many as a group may have. `likely`: happens often enough in a model that knows nothing."""
        bias = {self.tokenizer.convert_tokens_to_ids(token): more for token, more in likely.items()}
        samplings = [Sampling(100, temperature=1.2, seed=seed, logit_bias=bias) for seed in range(12)]
        prompts = [self.chat.tokens(question)] * len(samplings)
        formed = [self.forms.applied(one, question) for one in samplings]
        return generate(self.model, prompts, formed, stop_token_ids=self.stop)

    def ended(self, made: list[Generated]) -> list[str]:
        whole = [[*one.token_ids, one.stop[0]] for one in made if one.stop]
        return [self.tokenizer.decode(ids) for ids in whole]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Family], Policy]:
    made: dict[Family, Policy] = {}

    def of(family: Family) -> Policy:
        if family not in made:
            made[family] = Policy(family, tmp_path_factory.mktemp(family))
        return made[family]

    return of


def fits(said: str) -> bool:
    answer = json.loads(said)
    return answer["city"] in ("rome", "paris") and type(answer["sure"]) is bool and len(answer) == 2


def said(text: str) -> str:
    return text.removesuffix("<|im_end|>").removesuffix("<|endoftext|>")


def test_gpt_oss_thinks_freely_and_its_final_message_keeps_to_the_form(
    policy: Callable[[Family], Policy],
) -> None:
    gpt_oss = policy("gptoss")

    made = gpt_oss.completions(QUESTION, {"<|end|>": 7})

    texts = gpt_oss.ended(made)
    assert len(texts) > 4 and all(one.stop for one in made if one.finish_reason == "stop")
    for text in texts:
        answer, calls = gpt_oss.chat.read(text, False)
        assert fits(answer) and not calls and text.endswith("<|return|>")
    thoughts = [text.split("<|message|>")[1] for text in texts if "analysis<|message|>" in text]
    assert len(set(thoughts)) > 1


def test_a_call_of_gpt_oss_is_free_where_there_are_tools(policy: Callable[[Family], Policy]) -> None:
    gpt_oss = policy("gptoss")
    likely = {"<|end|>": 9, "<|call|>": 9, "<|channel|>": 6, "fin": 3, "Ġto": 3}

    read = [gpt_oss.chat.read(text, True) for text in gpt_oss.ended(gpt_oss.completions(WITH_TOOLS, likely))]
    without = [
        gpt_oss.chat.read(text, False) for text in gpt_oss.ended(gpt_oss.completions(QUESTION, likely))
    ]

    assert any(calls for _, calls in read)
    assert all(len(calls) == 1 and not answer for answer, calls in read if calls)
    assert all(fits(answer) for answer, calls in read if not calls)
    assert without and all(fits(answer) and not calls for answer, calls in without)


def test_qwen_thinks_freely_and_what_follows_keeps_to_the_form(policy: Callable[[Family], Policy]) -> None:
    qwen = policy("qwen3")

    texts = qwen.ended(qwen.completions(QUESTION, {"</think>": 8}))
    unthought = qwen.ended(qwen.completions(QUESTION, {"<think>": -100, "<": -100}))
    calling = {"<think>": -6, "</think>": 7, "<tool_call>": 1, "</tool_call>": 9}
    with_tools = qwen.ended(qwen.completions(WITH_TOOLS, calling))

    assert any("</think>" in text for text in texts)
    assert unthought and not any("<think>" in text for text in unthought)
    assert all(fits(qwen.chat.read(said(text), False)[0]) for text in [*texts, *unthought])
    answers = [
        text.partition("</think>")[2] if text.startswith("<think>") else text
        for text in map(said, with_tools)
    ]
    assert any(answer.lstrip().startswith("<tool_call>") for answer in answers)
    assert all(fits(answer) for answer in answers if not answer.lstrip().startswith("<tool_call>"))


@pytest.mark.parametrize("family", ["gptoss", "qwen3"])
def test_log_probabilities_stay_the_models_own(policy: Callable[[Family], Policy], family: Family) -> None:
    one = policy(family)

    made = one.completions(QUESTION, {})[:3]

    for completion in made:
        prompt, ids = one.chat.tokens(QUESTION), completion.token_ids
        with torch.no_grad():
            logits = one.model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
        own = torch.log_softmax(logits / 1.2, dim=-1)[torch.arange(len(ids)), ids]
        torch.testing.assert_close(torch.tensor(completion.logprobs), own, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("reader", ["our loop", "vLLM"])
@pytest.mark.parametrize(
    ("family", "question", "text", "fits"),
    [
        ("gptoss", QUESTION, FINAL, True),
        (
            "gptoss",
            QUESTION,
            f"<|channel|>analysis<|message|>é\n\n?<|end|><|start|>assistant{FINAL}",
            True,
        ),
        ("gptoss", QUESTION, FINAL.replace("<|message|>", " <|constrain|>json<|message|>"), True),
        ("gptoss", QUESTION, FINAL.replace("final", "analysis"), False),
        ("gptoss", QUESTION, FINAL.replace("<|return|>", "<|call|>"), False),
        ("gptoss", QUESTION, FINAL.replace("rome", "oslo"), False),
        ("gptoss", QUESTION, ANSWER, False),
        ("gptoss", QUESTION, "<|channel|>commentary to=functions.a<|message|>{}<|call|>", False),
        (
            "gptoss",
            WITH_TOOLS,
            "<|channel|>commentary to=functions.a-b.c <|constrain|>json<|message|>{}<|call|>",
            True,
        ),
        ("gptoss", WITH_TOOLS, " to=functions.a<|channel|>commentary json<|message|>{}<|call|>", True),
        (
            "gptoss",
            WITH_TOOLS,
            f"<|channel|>commentary<|message|>I look.<|end|><|start|>assistant{FINAL}",
            True,
        ),
        ("qwen3", QUESTION, f"{ANSWER}<|im_end|>", True),
        ("qwen3", QUESTION, f"<think>\né?\n</think>\n\n{ANSWER}<|im_end|>", True),
        ("qwen3", QUESTION, f"<think>\né?\n</think>\n\nIt is {ANSWER}<|im_end|>", False),
        ("qwen3", QUESTION, f"{CALL}<|im_end|>", False),
        ("qwen3", WITH_TOOLS, f"{CALL}\n{CALL}<|im_end|>", True),
        ("qwen3", WITH_TOOLS, f"<think>\n\n</think>\n\n{CALL}<|im_end|>", True),
    ],
)
def test_vllm_reads_the_same_of_a_form(
    policy: Callable[[Family], Policy],
    reader: str,
    family: Family,
    question: dict[str, Any],
    text: str,
    fits: bool,
) -> None:
    from tests.trainer.fake_vllm import form

    one = policy(family)
    constraint = one.forms.applied(Sampling(1), question).constraint
    assert constraint
    if reader == "vLLM":
        constraint = form(constraint.grammar, one.tokenizer, one.model.config.vocab_size)

    guide, taken = constraint.start(), []
    for token in one.tokenizer(text, add_special_tokens=False).input_ids:
        allowed = guide.allowed()
        assert not allowed[len(one.tokenizer) :].any(), "a logit without a token"
        taken.append(bool(allowed[token]))
        if not taken[-1] or token in one.stop:
            break
        guide.accept(token)

    assert all(taken) == fits, numpy.argmin(taken)
