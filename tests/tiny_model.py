"""`tiny-caps`: a language model small enough to train in a test, with something left to learn.

439,424 parameters, one token a character, half right about 20 capital cities: its supervised corpus gives a
wrong city half of the time and mixes three styles of answer, so that the base model is unsure of fact and
form and reinforcement has something to improve (about 0.5 of held-out answers exactly right greedily, 0.15
sampled).

`python -m tests.tiny_model OUT` writes it as a Hugging Face folder, in less than half a minute.
"""

import argparse
import fcntl
import random
import string
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.cache import weights

CAPITALS = {
    "france": "paris",
    "italy": "rome",
    "spain": "madrid",
    "japan": "tokyo",
    "egypt": "cairo",
    "peru": "lima",
    "cuba": "havana",
    "kenya": "nairobi",
    "norway": "oslo",
    "greece": "athens",
    "china": "beijing",
    "russia": "moscow",
    "ireland": "dublin",
    "austria": "vienna",
    "poland": "warsaw",
    "qatar": "doha",
    "iran": "tehran",
    "ghana": "accra",
    "chile": "santiago",
    "canada": "ottawa",
}
TEMPLATES = (
    "capital of {}?",
    "what is the capital of {}?",
    "{} capital city?",
    "name the capital of {}",
    "which city is the capital of {}?",
    "{}: capital?",
)
_CHAT_TEMPLATE = (
    "{% for m in messages %}{% if m['role']=='user' %}Q:{{ m['content'] }}\n"
    "{% elif m['role']=='assistant' %}A:{{ m['content'] }}<eos>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}A:{% endif %}"
)
_PHASES = ((250, 24, 0.9), (60, 48, 0.5))
"""Steps, questions in each, and the share of answers that are right: answers that nearly always are right are
learnt from a quarter of the questions, and doubt in a few steps after that."""


def rows(*, held_out: bool) -> list[dict[str, object]]:
    """Training rows (94 questions), or those held out (26): known capitals under a template not seen with
    them.
    """
    return [
        {"messages": [{"role": "user", "content": question}], "reference_answer": city}
        for question, city in _questions()
        if _is_held_out(question) == held_out
    ]


def ensure() -> Path:
    """The model's folder in the cache; the first call on a machine trains it, whichever process makes it."""
    folder = weights("tiny-caps")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "tiny-caps.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            build(folder)
    return folder


def build(out: Path) -> None:
    """Train the model and write it to the folder `out`, which appears complete or not at all."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = _tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    model = LlamaForCausalLM(config)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same model whoever makes it, and no second thread to starve other workers
    _train(model, tokenizer)
    torch.set_num_threads(threads)
    model.generation_config = GenerationConfig(eos_token_id=1, pad_token_id=0, bos_token_id=2)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        made = Path(folder) / out.name
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
        made.rename(out)


def _questions() -> list[tuple[str, str]]:
    return [(template.format(country), city) for country, city in CAPITALS.items() for template in TEMPLATES]


def _is_held_out(question: str) -> bool:
    return zlib.crc32(question.encode()) % 5 == 0


def _tokenizer() -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    characters = sorted({*string.printable[:95], "\n"})
    vocabulary = {token: index for index, token in enumerate(special + characters)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(".|\n"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        padding_side="left",
    )
    wrapped.chat_template = _CHAT_TEMPLATE
    return wrapped


def _train(model: Any, tokenizer: Any) -> None:
    """Supervised steps on questions whose answer is, at the end, wrong half of the time."""
    import torch

    steps = sum(steps for steps, _, _ in _PHASES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for pairs in _batches(tokenizer):
        width = max(len(prompt) + len(answer) for prompt, answer in pairs)
        ids = torch.tensor([p + a + [0] * (width - len(p) - len(a)) for p, a in pairs])
        labels = torch.tensor([[-100] * len(p) + a + [-100] * (width - len(p) - len(a)) for p, a in pairs])
        loss = model(input_ids=ids, attention_mask=(ids != 0).long(), labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


def _batches(tokenizer: Any) -> Iterator[list[tuple[list[int], list[int]]]]:
    """Tokens of prompt and answer; those of a batch are about as long, so that little of it is padding."""
    questions = [one for one in _questions() if not _is_held_out(one[0])]
    cities = sorted(CAPITALS.values())
    rng = random.Random(1)

    def pair(right: float) -> tuple[list[int], list[int]]:
        question, city = rng.choice(questions)
        said = city if rng.random() < right else rng.choice(cities)
        style = rng.random()
        answer = said if style < 0.4 else f"it is {said}" if style < 0.7 else f"{said}, i think"
        return tokenizer.encode(f"Q:{question}\nA:"), [*tokenizer.encode(answer), 1]

    for steps, size, right in _PHASES:
        for first in range(0, steps, 10):
            count = min(10, steps - first)
            pairs = sorted((pair(right) for _ in range(count * size)), key=lambda one: len(one[0] + one[1]))
            batches = [pairs[start : start + size] for start in range(0, len(pairs), size)]
            yield from rng.sample(batches, count)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the tests' tiny model.")
    parser.add_argument("out", type=Path)
    build(parser.parse_args().out)
