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
    ("qwen.qwen3-14b", "ml.g7e.2xlarge"): Throughput(sampled=1200, learned=850),
    ("qwen.qwen3-14b", "ml.p5.4xlarge"): Throughput(sampled=2000, learned=2500),
    ("qwen.qwen3-8b", "ml.g6e.2xlarge"): Throughput(sampled=1000, learned=1100),
    ("qwen.qwen3-8b", "ml.g7e.2xlarge"): Throughput(sampled=2000, learned=1500),
    ("qwen.qwen3-8b", "ml.p5.4xlarge"): Throughput(sampled=3000, learned=4500),
    ("qwen.qwen3-4b", "ml.g6e.xlarge"): Throughput(sampled=1500, learned=2200),
    ("qwen.qwen3-4b", "ml.g6e.2xlarge"): Throughput(sampled=1500, learned=2200),
    ("qwen.qwen3-4b", "ml.g7e.2xlarge"): Throughput(sampled=2500, learned=3000),
    ("qwen.qwen3-1.7b", "ml.g6.xlarge"): Throughput(sampled=1000, learned=2000),
    ("qwen.qwen3-1.7b", "ml.g5.xlarge"): Throughput(sampled=1200, learned=2000),
    ("qwen.qwen3-1.7b", "ml.g6e.xlarge"): Throughput(sampled=2000, learned=5000),
    ("qwen.qwen3-0.6b", "ml.g6.xlarge"): Throughput(sampled=1200, learned=5000),
    ("qwen.qwen3-0.6b", "ml.g5.xlarge"): Throughput(sampled=1500, learned=5000),
    ("qwen.qwen3-0.6b", "ml.g6e.xlarge"): Throughput(sampled=2500, learned=12000),
    ("smollm2-135m-instruct", "ml.g5.xlarge"): Throughput(sampled=1200, learned=12000),
    ("smollm2-135m-instruct", "ml.g6.xlarge"): Throughput(sampled=1200, learned=10000),
    ("tiny-caps", "ml.m5.large"): Throughput(sampled=2000, learned=10000),
}


def of(model: str, instance_type: str) -> Throughput | None:
    """Of a base model's id; None if there is no figure."""
    return _THROUGHPUT.get((model, instance_type))
