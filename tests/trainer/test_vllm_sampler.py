"""vLLM as a sampler, as far as a machine without a GPU can show it: what it is asked, in words it knows, and
that its completions are the policy's."""

import math
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.fake_vllm import Engine, checked, install

pytestmark = pytest.mark.slow


def _policy(folder: Path, *, is_full: bool = False) -> tuple[Any, Any]:
    from peft import get_peft_model

    from tests.trainer.conftest import HYPERPARAMETERS
    from training_image.trainer import policy

    model, tokenizer = policy.load(folder, learns=is_full)
    if is_full:
        return model, tokenizer
    return get_peft_model(model, policy.adapter(model, HYPERPARAMETERS)), tokenizer


def _sampler(folder: Path, out: Path, stop: Any, **settings: Any) -> Any:
    from training_image.trainer.vllm_sampler import EngineSettings, VLLMSampler

    defaults = {"context": 64, "memory_share": 0.5, "seed": 7}
    return VLLMSampler(folder, stop, EngineSettings(**defaults | settings), folder=out)


def _disturb(model: Any, size: float) -> None:
    import torch

    with torch.no_grad():
        for name, one in model.named_parameters():
            if ".lora_B." in name or (one.requires_grad and name.endswith("q_proj.weight")):
                one.add_(size)


@pytest.mark.parametrize("is_full", [False, True])
def test_vllm_and_our_own_loop_write_the_same_completions_after_each_update(
    tiny_caps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_full: bool
) -> None:
    from training_image.generate import stop_tokens
    from training_image.sampling import Sampling
    from training_image.trainer.sampler import LoopSampler

    install(monkeypatch)
    model, tokenizer = _policy(tiny_caps, is_full=is_full)
    stop = stop_tokens(model, tokenizer)
    prompts = [tokenizer(f"Q:capital of {name}?\nA:").input_ids for name in ("france", "peru", "cuba")]
    samplings = [Sampling(12, seed=place) for place in range(3)]
    vllm, loop = _sampler(tiny_caps, tmp_path, stop), LoopSampler(stop)
    ended: dict[int, Any] = {}

    for size in (0.0, 0.05, 0.05):
        _disturb(model, size)
        made = vllm.sample(model, prompts, samplings, on_end=ended.__setitem__)

        expected = loop.sample(model, prompts, samplings)
        assert [one.token_ids for one in made] == [one.token_ids for one in expected]
        assert [one.stop and one.stop[0] for one in made] == [one.stop and one.stop[0] for one in expected]
        for one, other in zip(made, expected, strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)
        assert [ended[place] for place in range(3)] == made
        assert vllm._engine.is_asleep
        assert len(list(tmp_path.iterdir())) == 1  # one adapter at a time lies in memory, or the settings
        assert not list(tmp_path.glob("*/model*.safetensors"))


def test_weights_that_learn_leave_vllm_what_their_optimizer_does_not_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    from training_image.trainer import sampler_choice
    from training_image.trainer.errors import TrainingError

    gb, billion = 10**9, 10**9
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (64 * gb, 80 * gb))

    assert sampler_choice._free_share(0) == pytest.approx((64 - 6) / 80, abs=1e-3)
    assert sampler_choice._free_share(4 * billion) == pytest.approx((64 - 6 - 32) / 80, abs=1e-3)
    with pytest.raises(TrainingError, match=r"no room for vLLM beside 6\.0 billion weights that learn"):
        sampler_choice._free_share(6 * billion)


@pytest.mark.parametrize("is_full", [False, True])
def test_an_engine_that_leaves_what_trains_out_fails_the_job_before_its_first_step(
    tiny_caps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_full: bool
) -> None:
    import torch

    from training_image.generate import stop_tokens
    from training_image.sampling import Sampling
    from training_image.trainer.errors import TrainingError
    from training_image.trainer.probe import check_policy_is_sampled

    class Deaf(Engine):
        ignores_adapters = True

        def collective_rpc(self, method: str, *, kwargs: dict[str, Any]) -> list[None]:
            return [None]

    model, tokenizer = _policy(tiny_caps, is_full=is_full)
    stop, prompt = stop_tokens(model, tokenizer), tokenizer("Q:capital of france?\nA:").input_ids
    before = {name: one.clone() for name, one in model.state_dict().items()}

    install(monkeypatch)
    heard = _sampler(tiny_caps, tmp_path / "a", stop)
    check_policy_is_sampled(model, heard, prompt, bound=0.02)
    install(monkeypatch, Deaf)
    deaf = _sampler(tiny_caps, tmp_path / "b", stop)
    deaf.sample(model, [prompt], [Sampling(1)])  # an engine begins with the policy as it is
    with pytest.raises(TrainingError, match=r"VLLMSampler and the trainer .* those of the model without it"):
        check_policy_is_sampled(model, deaf, prompt, bound=0.02)

    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def test_the_served_sampler_speaks_the_http_api_of_vllm(tiny_caps: Path, tmp_path: Path) -> None:
    import json

    import httpx

    from training_image.generate import stop_tokens
    from training_image.sampling import Sampling
    from training_image.trainer.vllm_server import ServedSampler

    model, tokenizer = _policy(tiny_caps)
    stop = min(stop_tokens(model, tokenizer))
    asked: list[tuple[str, dict[str, Any]]] = []
    started: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        asked.append((request.url.path, body))
        if request.url.path != "/v1/completions":
            return httpx.Response(200, text="Success")
        choice = {
            "token_ids": [5, stop],
            "logprobs": {"token_logprobs": [-1.0, -0.5]},
            "finish_reason": "stop",
        }
        return httpx.Response(200, json={"choices": [choice]})

    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://vllm")
    sampler = ServedSampler(client, [stop], folder=tmp_path, start=started.append)
    [made] = sampler.sample(model, [[1, 2]], [Sampling(12, seed=3)])
    sampler.sample(model, [[1, 2]], [Sampling(12, seed=3)])
    _disturb(model, 0.1)
    sampler.sample(model, [[1, 2]], [Sampling(12, seed=3)])

    assert (made.token_ids, made.logprobs, made.stop) == ([5], [-1.0], (stop, -0.5))
    assert started == [model]
    loads = [body for path, body in asked if path == "/v1/load_lora_adapter"]
    assert [checked("LoadLoRAAdapterRequest", one)["lora_name"] for one in loads] == ["policy-1", "policy-2"]
    [unload] = [body for path, body in asked if path == "/v1/unload_lora_adapter"]
    assert checked("UnloadLoRAAdapterRequest", unload) == {"lora_name": "policy-1"}
    completions = [checked("CompletionRequest", body) for path, body in asked if path == "/v1/completions"]
    assert [one["model"] for one in completions] == ["policy-1", "policy-1", "policy-2"]
    assert completions[0]["seed"] == 3 and completions[0]["stop_token_ids"] == [stop]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_form_is_kept_to_at_any_temperature_and_a_free_witness_shows_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    from tests import tiny_architectures
    from training_image.generate import stop_tokens
    from training_image.sampling import Sampling
    from training_image.trainer.chat_format import ChatFormat
    from training_image.trainer.errors import TrainingError
    from training_image.trainer.forms import FREE, forms
    from training_image.trainer.witness import WitnessedSampler, witnessed

    class Deaf(Engine):
        ignores_adapters = True

    base = tiny_architectures.build("qwen3", tmp_path / "base")
    model, tokenizer = _policy(base)
    stop, prompt = stop_tokens(model, tokenizer), tokenizer("Q:capital of france?\nA:").input_ids
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"enum": [1, 2, 3]}}}
    form = forms(schema, ChatFormat(tokenizer, "none"), model, tokenizer)
    held = [form.applied(Sampling(12, temperature, seed=seed), {"tools": []}) for seed in range(6)]
    ended: dict[int, Any] = {}
    _disturb(model, 0.3)

    install(monkeypatch)
    own = _sampler(base, tmp_path / "a", stop)
    made = witnessed(own, form, bound=0.02).sample(model, [prompt] * 6, held, on_end=ended.__setitem__)

    said = [tokenizer.decode(one.token_ids) for one in made]
    assert set(said) <= {"1", "2", "3"} and len(set(said)) > 1
    assert all(math.isnan(one) for completion in made for one in completion.logprobs)
    assert [ended[place] for place in range(6)] == made and len(ended) == 6
    assert witnessed(own, FREE, bound=0.02) is own
    install(monkeypatch, Deaf)
    deaf = WitnessedSampler(_sampler(base, tmp_path / "b", stop), bound=0.02)
    with pytest.raises(TrainingError, match="not sampled from the policy in training"):
        deaf.sample(model, [prompt] * 6, held)


def test_without_a_gpu_the_job_has_our_own_loop(tiny_caps: Path) -> None:
    from training_image.trainer.errors import TrainingError
    from training_image.trainer.sampler import LoopSampler
    from training_image.trainer.sampler_choice import choose

    assert isinstance(choose("auto", tiny_caps, [1], context=64, seed=7), LoopSampler)
    with pytest.raises(TrainingError, match="Set sampler to auto"):
        choose("vllm", tiny_caps, [1], context=64, seed=7)
