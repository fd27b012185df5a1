"""Rows with tools: the policy reads them as the tuned model will, and its calls reach the grader."""

from pathlib import Path
from typing import Any

import pytest
import torch

from outcrop.errors import APIError
from outcrop.graders.pipeline import GraderPipeline
from outcrop.types.grader import MultiGrader, StringCheckGrader
from tests import tiny_qwen
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.dataset import question
from training_image.trainer.rewards import Rewards
from training_image.trainer.rollouts import Rollouts

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}},
}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'
MESSAGES = [{"role": "user", "content": "Weather in Paris?"}]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_qwen.tokenizer()


def read_by_policy(row: dict[str, Any], tokenizer: Any) -> str:
    return tokenizer.decode(ChatFormat(tokenizer).tokens(question([row], 0)))


def test_the_policy_reads_a_rows_tools_by_its_own_template(tokenizer: Any) -> None:
    prompt = read_by_policy({"messages": MESSAGES, "tools": [WEATHER]}, tokenizer)

    assert prompt == tokenizer.apply_chat_template(
        MESSAGES, tools=[WEATHER], add_generation_prompt=True, tokenize=False
    )
    assert '"name": "weather"' in prompt


def test_a_row_without_tools_is_read_without_them(tokenizer: Any) -> None:
    plain = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, tokenize=False)

    assert read_by_policy({"messages": MESSAGES}, tokenizer) == plain
    assert read_by_policy({"messages": MESSAGES, "tools": None}, tokenizer) == plain


def test_earlier_calls_and_parts_of_text_are_read_too(tokenizer: Any) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "x"}'}}
    turns = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Weather "}, {"type": "text", "text": "in x?"}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
    ]

    prompt = read_by_policy({"messages": turns, "tools": [WEATHER]}, tokenizer)

    assert "Weather in x?" in prompt
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": "x"}}\n</tool_call>' in prompt
    assert "<tool_response>\nRain.\n</tool_response>" in prompt


def test_a_template_whose_calls_nobody_can_read_ends_the_run_with_the_reason(tokenizer: Any) -> None:
    template = tokenizer.chat_template
    tokenizer.chat_template = "{% for tool in tools %}{{ tool }}{% endfor %}<function=f>"
    try:
        with pytest.raises(APIError, match="cannot read the tool calls of this model"):
            read_by_policy({"messages": MESSAGES, "tools": [WEATHER]}, tokenizer)
    finally:
        tokenizer.chat_template = template


def test_the_calls_of_a_completion_reach_its_grader_and_the_text_without_them(tokenizer: Any) -> None:
    part = {"type": "string_check", "operation": "eq"}
    called = {**part, "input": "{{sample.output_tools[0].function.name}}", "reference": "{{item.function}}"}
    said = {**part, "input": "{{sample.output_text}}", "reference": "Let me look."}
    ended = {**part, "input": "{{sample.choices[0].finish_reason}}", "reference": "tool_calls"}
    grader = MultiGrader.model_validate(
        {
            "type": "multi",
            "graders": {"called": called, "said": said, "ended": ended},
            "calculate_output": "called + said + ended",
        }
    )
    row = {"messages": MESSAGES, "tools": [WEATHER], "function": "weather"}
    rewards = Rewards(GraderPipeline(grader), [row], read=ChatFormat(tokenizer).read, failure_limit=1.0)
    texts = [f"Let me look.\n{CALL}", f"Let me look.\n{CALL}", "It is sunny."]

    round = rewards.round([question([row], 0)] * 3)
    for place, text in enumerate(texts):
        round.submit(place, text, "length" if place == 1 else "stop")
    given = rewards.rewards(round, texts)

    assert given == [3.0, 2.0, None]
    assert rewards.latest[0].completion == texts[0]
    assert "no 'sample.output_tools[0]'" in (rewards.latest[2].reward.message or "")


@pytest.mark.parametrize(
    ("effort", "thought"), [("default", "optional"), ("low", "optional"), ("none", "none")]
)
def test_the_policy_thinks_as_the_job_asks(tokenizer: Any, effort: str, thought: str) -> None:
    chat = ChatFormat(tokenizer, effort)

    asked = tokenizer.decode(chat.tokens(question([{"messages": MESSAGES}], 0)))

    assert asked.rstrip().endswith("</think>") == (effort == "none")
    assert chat.thought == thought


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>\nIs it 5?\n</think>\n\n4", "4"),
        ("4", "4"),
        ("<think>\nIt must be 4. It", ""),  # cut off before it said anything
    ],
)
def test_a_thought_is_not_what_the_model_says(tokenizer: Any, text: str, said: str) -> None:
    part = {"type": "string_check", "operation": "eq", "input": "{{sample.output_text}}", "reference": said}
    grader = MultiGrader.model_validate({"type": "multi", "graders": {"a": part}, "calculate_output": "a"})
    row = {"messages": MESSAGES}
    rewards = Rewards(GraderPipeline(grader), [row], read=ChatFormat(tokenizer).read, failure_limit=1.0)

    given = rewards.rewards(rewards.round([question([row], 0)]), [text])

    assert given == [1.0]
    assert rewards.latest[0].completion == text


def test_the_tags_of_a_call_are_text_where_a_row_has_no_tools(tokenizer: Any) -> None:
    part = {"type": "string_check", "operation": "eq", "input": "{{sample.output_text}}", "reference": CALL}
    grader = MultiGrader.model_validate({"type": "multi", "graders": {"a": part}, "calculate_output": "a"})
    rewards = Rewards(
        GraderPipeline(grader), [{"messages": MESSAGES}], read=ChatFormat(tokenizer).read, failure_limit=1.0
    )

    given = rewards.rewards(rewards.round([question([{"messages": MESSAGES}], 0)]), [CALL])

    assert given == [1.0]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gptoss", "qwen3"])
def test_a_policy_learns_from_calls_that_its_grader_has_read(family: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from local.tool_grammar import tool_grammar
    from outcrop.base_models import find
    from outcrop.types.chat import FunctionDefinition
    from tests import tiny_architectures
    from tests.trainer.conftest import HYPERPARAMETERS
    from training_image.constraints import Vocabulary
    from training_image.generate import stop_tokens
    from training_image.grammars import json_rule
    from training_image.sampling import Sampling
    from training_image.trainer import dataset, grpo, policy
    from training_image.trainer.forms import Forms
    from training_image.trainer.prompts import PromptQueue
    from training_image.trainer.sampler import LoopSampler

    known = find("openai.gpt-oss-20b" if family == "gptoss" else "qwen.qwen3-8b")
    assert known
    folder = tiny_architectures.build("gpt-oss" if family == "gptoss" else "qwen3", tmp_path / "model")
    attention = {"attn_implementation": "eager" if family == "gptoss" else "sdpa"}
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **attention)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    chat = ChatFormat(tokenizer, "none" if family == "qwen3" else "low")
    called = {"type": "string_check", "operation": "like", "reference": '"name": "weather"'}
    grader = StringCheckGrader.model_validate(called | {"name": "called", "input": "{{sample.output_tools}}"})
    rows = [{"messages": MESSAGES, "tools": [WEATHER]}]
    numbers = HYPERPARAMETERS.model_copy(
        update={
            "lora_targets": known.lora_targets,
            "max_steps": 1,
            "prompts_per_step": 1,
            "num_generations": 8,
        }
    )
    # A random model writes no call that could be read, unless it is led.
    led = tool_grammar(
        [FunctionDefinition(name="weather", parameters={"type": "object", "additionalProperties": False})],
        must_call=False,
        parallel=False,
        as_list=False,
        text=json_rule({"type": "integer"}),
        thought=chat.thought,
        refused=lambda _: None,
    )
    stop = stop_tokens(model, tokenizer)
    constraint = Vocabulary(tokenizer, stop, model.config.vocab_size).constraint(led)
    likely = {
        "gptoss": {"<|end|>": 9, "<|channel|>": 6, "<|return|>": 9, "fin": 3, "Ġto": 3},
        "qwen3": {"<tool_call>": 1, "<|im_end|>": 9},
    }[family]
    bias = {tokenizer.convert_tokens_to_ids(token): more for token, more in likely.items()}
    rewards = Rewards(GraderPipeline(grader), rows, read=chat.read, failure_limit=1.0)
    trainer = grpo.GroupTrainer(
        model=model,
        args=grpo.config(numbers, seed=7, folder=tmp_path),
        train_dataset=dataset.placeholders(1),
        processing_class=tokenizer,
        peft_config=policy.adapter(model, numbers),
        rollouts=Rollouts(
            rows=rows,
            prompts=PromptQueue(1, seed=7),
            chat=chat,
            sampler=LoopSampler(stop),
            sampling=Sampling(90, logit_bias=bias),
            forms=Forms(answer_or_calls=constraint),
            rewards=rewards,
        ),
        save=lambda: None,
    )

    trainer.train()

    told = {one.completion: one.reward.reward for one in rewards.latest}
    opening = "to=functions.weather" if family == "gptoss" else '{"name": "weather"'
    assert {opening in text for text in told} == {True, False}
    assert all(reward == (opening in text) for text, reward in told.items())
    assert trainer.state.log_history[0]["grad_norm"] > 0
