"""How often the demo's model answers reasoning-gym's tasks at their easiest settings, and whether it could
learn: a task teaches where the completions of one prompt earn different rewards.

One worked example, then the question, as chat messages; 6 questions x 6 completions of 12 tokens at
temperature 1, the task's own scoring. Prints a row of a Markdown table a task.

`uv run --with reasoning-gym==0.1.25 python -m benchmarks.base_rates [--without-example] [TASK ...]`
"""

import argparse
from statistics import fmean
from typing import Any

from local.cache import weights
from outcrop.cli.demo_exam import is_exact
from outcrop.cli.local import DEFAULT_MODEL

EASIEST: dict[str, dict[str, Any]] = {
    "aiw": {"max_entities": 3},
    "calendar_arithmetic": {"offset_upper_bound": 7},
    "chain_sum": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1},
    "color_cube_rotation": {"max_rotations": 1},
    "family_relationships": {"min_family_size": 3, "max_family_size": 4},
    "fraction_simplification": {"max_value": 5, "max_factor": 3, "styles": ("plain",)},
    "gcd": {"max_value": 10},
    "leg_counting": {"min_animals": 1, "max_animals": 1, "max_instances": 3},
    "letter_counting": {"min_words": 2, "max_words": 3},
    "needle_haystack": {"min_num_statements": 2, "max_num_statements": 3},
    "number_filtering": {
        "min_numbers": 3,
        "max_numbers": 3,
        "max_decimals": 0,
        "min_value": 0,
        "max_value": 20,
    },
    "number_format": {"min_num_candidates": 2, "max_num_candidates": 2, "max_n": 10_000, "max_delta": 1000.0},
    "products": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1},
    "ransom_note": {"max_note_length": 2, "max_magazine_length": 4},
    "spell_backward": {"min_word_len": 3, "max_word_len": 3},
    "syllogism": {},
    "word_sequence_reversal": {"min_words": 2, "max_words": 2},
    "word_sorting": {"min_words": 2, "max_words": 2, "min_word_length": 3, "max_word_length": 5},
}
QUESTIONS = COMPLETIONS = 6
MAX_TOKENS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", nargs="*", choices=[*EASIEST, []], default=[*EASIEST])
    parser.add_argument("--without-example", action="store_true")
    asked = parser.parse_args()
    from training_image.trainer import policy

    model, tokenizer = policy.load(weights(DEFAULT_MODEL))
    print("| task | mean reward | right | groups with different rewards |\n|---|---|---|---|")
    for name in asked.task:
        print(
            _row(name, _rewards(name, model, tokenizer, with_example=not asked.without_example)), flush=True
        )


def _rewards(name: str, model: Any, tokenizer: Any, *, with_example: bool) -> list[list[float]]:
    """By question."""
    from reasoning_gym import create_dataset  # pyright: ignore[reportMissingImports]

    from training_image.generate import stop_tokens
    from training_image.sampling import Sampling
    from training_image.trainer.chat_format import ChatFormat
    from training_image.trainer.sampler import LoopSampler

    items = create_dataset(name, size=QUESTIONS, seed=11, **EASIEST[name])
    example = create_dataset(name, size=1, seed=99, **EASIEST[name])[0] if with_example else None
    chat, sampler = ChatFormat(tokenizer), LoopSampler(stop_tokens(model, tokenizer))
    prompts = [chat.tokens({"prompt": _messages(item, example), "tools": []}) for item in items]
    drawn = [Sampling(MAX_TOKENS, seed=place) for place in range(QUESTIONS * COMPLETIONS)]
    made = sampler.sample(model, [prompt for prompt in prompts for _ in range(COMPLETIONS)], drawn)
    texts = [chat.text(one.token_ids).strip() for one in made]
    return [
        [float(items.score_answer(answer=text, entry=item)) for text in texts[start : start + COMPLETIONS]]
        for start, item in zip(range(0, len(texts), COMPLETIONS), items, strict=True)
    ]


def _messages(item: Any, example: Any) -> list[dict[str, str]]:
    said = [("system", "Reply with the answer only.")]
    if example:
        said += [("user", example["question"].strip()), ("assistant", str(example["answer"]))]
    said.append(("user", item["question"].strip()))
    return [{"role": role, "content": content} for role, content in said]


def _row(name: str, groups: list[list[float]]) -> str:
    rewards = [reward for group in groups for reward in group]
    varied = fmean(max(group) - min(group) > 1e-6 for group in groups)
    return f"| {name} | {fmean(rewards):.3f} | {fmean(map(is_exact, rewards)):.0%} | {varied:.0%} |"


if __name__ == "__main__":
    main()
