"""Judges of Amazon Bedrock, by boto3's own requests to a Converse on loopback."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from outcrop.graders.reward import TokenUsage
from tests.graders.converse_endpoint import Answer, ConverseEndpoint, failing, said
from tests.graders.judging import LABEL_MODEL, SCORE_MODEL, a_verdict, judged

MODEL = "openai.gpt-oss-120b-1:0"
GRADER = SCORE_MODEL | {"model": MODEL}
SPENT = {MODEL: TokenUsage(16, 4, 6)}


@pytest.fixture
def bedrock(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConverseEndpoint]:
    server = ConverseEndpoint()
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    yield server
    server.stop()


def a_text(result: Any, **rest: Any) -> Answer:
    return said({"text": a_verdict(result)}, **rest)


def without(*fields: str) -> Any:
    """Answers as a model that refuses these fields of a request."""

    def answer(request: dict[str, Any]) -> Answer:
        if unknown := [field for field in fields if field in request]:
            return failing(400, "ValidationException", f"This model doesn't support {unknown[0]}.")
        if "toolConfig" in request:
            return said({"toolUse": {"toolUseId": "1", "name": "give_verdict", "input": {"result": 0.25}}})
        return a_text(0.5)

    return answer


def test_a_model_named_by_its_id_needs_no_setting(bedrock: ConverseEndpoint) -> None:
    bedrock.answers = [a_text(0.75)]

    [reward] = judged(GRADER, {}, "four")

    assert (reward.reward, reward.explanation, reward.tokens) == (0.75, "The sum: is right", SPENT)
    [asked] = bedrock.asked
    assert asked["modelId"] == MODEL
    assert asked["system"] == [{"text": "Grade the answer."}]
    [turn] = asked["messages"]
    assert turn["role"] == "user"
    assert turn["content"][0]["text"].startswith("Wanted: 4\nGiven: four\n\nAnswer with one JSON object")
    assert asked["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["name"] == "verdict"
    assert "toolConfig" not in asked


@pytest.mark.parametrize(
    ("fields", "reward", "tries"),
    [((), 0.5, 1), (("outputConfig",), 0.25, 2), (("outputConfig", "toolConfig"), 0.5, 3)],
)
def test_the_form_is_asked_for_as_the_model_takes_it_and_that_is_remembered(
    bedrock: ConverseEndpoint, fields: tuple[str, ...], reward: float, tries: int
) -> None:
    bedrock.answers = [without(*fields)]

    rewards = judged(GRADER, {}, "3", "4", concurrency=1)

    assert [one.reward for one in rewards] == [reward, reward]
    assert len(bedrock.asked) == tries + 1


def test_sampling_is_asked_for_in_bedrocks_names(bedrock: ConverseEndpoint) -> None:
    bedrock.answers = [a_text(1)]
    sampling = {"temperature": 0.5, "top_p": 0.25, "max_completions_tokens": 99, "reasoning_effort": "low"}

    judged(GRADER | {"sampling_params": sampling}, {})
    judged(GRADER | {"sampling_params": sampling, "model": "anthropic.claude-opus-4-5"}, {})

    gpt_oss, claude = bedrock.asked
    assert gpt_oss["inferenceConfig"] == {"temperature": 0.5, "topP": 0.25, "maxTokens": 99}
    assert gpt_oss["additionalModelRequestFields"] == {"reasoning_effort": "low"}
    assert "additionalModelRequestFields" not in claude
    assert claude["outputConfig"]["effort"] == "low"


def test_messages_come_in_turns_without_blank_ones(bedrock: ConverseEndpoint) -> None:
    bedrock.answers = [a_text(1)]
    said_before = [
        ("user", "one"),
        ("user", "{{sample.output_text}}"),
        ("user", "two"),
        ("assistant", "three"),
    ]
    messages = [{"role": role, "content": text} for role, text in [("system", " "), *said_before]]

    judged(GRADER | {"input": messages}, {}, "")

    [asked] = bedrock.asked
    assert "system" not in asked
    turns = [(turn["role"], [block["text"][:15] for block in turn["content"]]) for turn in asked["messages"]]
    assert turns == [("user", ["one", "two"]), ("assistant", ["three"]), ("user", ["Answer with one"])]


def test_thoughts_are_no_part_of_the_verdict(bedrock: ConverseEndpoint) -> None:
    thought = {"reasoningContent": {"reasoningText": {"text": "Hm."}}}
    bedrock.answers = [said(thought, {"text": a_verdict("bad")})]

    assert [one.reward for one in judged(LABEL_MODEL | {"model": MODEL}, {})] == [0.0]


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (a_text(1, stop_reason="guardrail_intervened"), "model_grader_refusal_error", "refused to judge"),
        (a_text(1, stop_reason="content_filtered"), "model_grader_refusal_error", "refused to judge"),
        (a_text(1, stop_reason="max_tokens"), "model_grader_parse_error", "cut off"),
        (said({"text": "Well."}), "model_grader_parse_error", "5 characters that are not the JSON"),
        (said(stop_reason="malformed_model_output"), "model_grader_parse_error", "not the JSON"),
        (
            said({"toolUse": {"toolUseId": "1", "name": "give_verdict", "input": {"result": float("nan")}}}),
            "model_grader_parse_error",
            "its result has to be a number, and is missing",
        ),
    ],
)
def test_what_is_no_verdict_is_no_score_but_has_its_price(
    bedrock: ConverseEndpoint, answer: Answer, kind: str, message: str
) -> None:
    bedrock.answers = [answer]

    [reward] = judged(GRADER, {})

    assert (reward.reward, reward.error, reward.tokens) == (None, kind, SPENT)
    assert message in str(reward.message)


@pytest.mark.parametrize(
    ("answer", "kind", "asked", "message"),
    [
        (failing(429, "ThrottlingException"), "judge_throttled", 6, "throttles the judge"),
        (failing(503, "ServiceUnavailableException"), "model_grader_server_error", 4, "status 503"),
        (failing(500, "InternalServerException"), "model_grader_server_error", 4, "status 500"),
        (failing(429, "ModelNotReadyException"), "model_grader_server_error", 4, "ModelNotReady"),
        (failing(408, "ModelTimeoutException"), "model_grader_server_error", 4, "ModelTimeout"),
        (failing(403, "AccessDeniedException"), "model_grader_server_error", 1, "access to this model"),
        (
            failing(404, "ResourceNotFoundException", "No such model"),
            "model_grader_server_error",
            1,
            "No such",
        ),
        (failing(400, "ValidationException", "Too long."), "model_grader_server_error", 3, "Too long."),
    ],
)
def test_a_judge_that_cannot_be_asked_is_a_failure_of_the_service(
    bedrock: ConverseEndpoint, answer: Answer, kind: str, asked: int, message: str
) -> None:
    bedrock.answers = [answer]

    [reward] = judged(GRADER, {})

    assert (reward.reward, reward.error, reward.tokens) == (None, kind, {})
    assert message in str(reward.message)
    assert len(bedrock.asked) == asked


def test_a_throttled_judge_is_asked_until_it_answers(bedrock: ConverseEndpoint) -> None:
    throttled = failing(429, "ThrottlingException")
    bedrock.answers = [throttled, throttled, a_text(0.5)]

    assert [one.reward for one in judged(GRADER, {})] == [0.5]
    assert len(bedrock.asked) == 3


def test_a_judge_that_takes_too_long_is_asked_once_more(bedrock: ConverseEndpoint) -> None:
    over = threading.Event()

    def late(request: dict[str, Any]) -> Answer:
        over.wait(5)
        return a_text(1)

    bedrock.answers = [late]

    [reward] = judged(GRADER, {}, timeout_seconds=0.2)
    over.set()

    assert reward.error == "model_grader_server_error"
    assert "did not answer within 0.2 s" in str(reward.message)
    assert len(bedrock.asked) == 2
