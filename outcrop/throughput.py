"""How fast training goes, by base model and instance type: what `outcrop estimate` makes hours of.

None of these was measured: they are worked out from the machines' memory bandwidth and arithmetic, for one
GPU, with other models' figures in mind. A measured one replaces its line and says when.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Throughput:
    sampled: int
    """Completion tokens a second, a whole step's completions at a time."""
    learned: int
    """Tokens a second, of prompts and completions, that the policy learns from."""
    measured: str = ""
    """The date; empty: assumed."""


_THROUGHPUT = {
    ("openai.gpt-oss-20b", "ml.p5.4xlarge"): Throughput(sampled=2000, learned=3000),
    ("openai.gpt-oss-20b", "ml.p5en.48xlarge"): Throughput(sampled=2500, learned=3500),
    ("openai.gpt-oss-20b", "ml.g7e.2xlarge"): Throughput(sampled=1200, learned=1500),
    ("qwen.qwen3-32b", "ml.p5en.48xlarge"): Throughput(sampled=1200, learned=1200),
    ("smollm2-135m-instruct", "ml.g5.xlarge"): Throughput(sampled=1200, learned=12000),
    ("smollm2-135m-instruct", "ml.g6.xlarge"): Throughput(sampled=1200, learned=10000),
    ("tiny-caps", "ml.m5.large"): Throughput(sampled=2000, learned=10000),
}


def of(model: str, instance_type: str) -> Throughput | None:
    """Of a base model's id; None if there is no figure."""
    return _THROUGHPUT.get((model, instance_type))
