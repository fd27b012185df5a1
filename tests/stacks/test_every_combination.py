"""Every two values of any two settings go together: the app can be made, and its templates are right."""

import itertools
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from cfnlint.api import lint

from scripts.synthesis import templates
from tests.stacks.test_scanners import REGIONS

pytestmark = pytest.mark.slow

IMAGE = "123456789012.dkr.ecr.us-west-2.amazonaws.com/outcrop:1"
CHOICES: dict[str, list[Any]] = {
    "serving": ["sagemaker", "bedrock_import", "openai_compatible"],
    "sandbox_packages": ["layer", "full"],
    "training_image": ["", IMAGE],
    "instance_count": [{}, {"qwen.qwen3-32b": 2}],
    "weights_source": ["auto", "huggingface", "jumpstart"],
    "hugging_face_secret": ["", "arn:aws:secretsmanager:us-west-2:123456789012:secret:hf-AbCdEf"],
    "spot": [False, True],
    "warm_pool_seconds": [0, 600],
    "training_vpc": [{}, {"vpc_id": "vpc-1a", "subnet_ids": ["subnet-1a"], "security_group_ids": ["sg-1a"]}],
    "kms_key": ["", "arn:aws:kms:us-west-2:123456789012:key/0a1b2c3d-0000-1111-2222-333344445555"],
    "permissions_boundary": ["", "arn:aws:iam::123456789012:policy/boundary"],
    "tags": [{}, {"team": "research"}],
    "custom_domain": [
        {},
        {
            "name": "rft.example.com",
            "certificate_arn": "arn:aws:acm:us-west-2:123456789012:certificate/0a1b2c3d",
            "hosted_zone_id": "Z0123456789ABC",
        },
    ],
    "waf": [False, True],
    "dev": [False, True],
    "log_retention_days": [30, 365],
    "grader_prefixes": [[], ["my-graders-"], ["*"]],
    "alarm_email": ["", "ops@example.com"],
    "judges": [{}, {"*": {"provider": "bedrock", "model": "openai.gpt-oss-120b-1:0"}}],
    "s3_sources": [{}, {"*": ["s3://their-data/sets"]}],
    "models": [["tiny-caps"], ["openai.gpt-oss-20b", "qwen.qwen3-32b"]],
}
NOT_TOGETHER: list[Mapping[str, Any]] = [
    {"spot": True, "warm_pool_seconds": 600},
    {"training_image": IMAGE, "instance_count": {"qwen.qwen3-32b": 2}},
]
"""What the settings themselves refuse."""


def pairwise() -> list[dict[str, Any]]:
    """Few deployments, in which every two values of any two settings occur: greedily, always the same."""
    missing = {
        (one, first, other, second)
        for one, other in itertools.combinations(CHOICES, 2)
        for first in range(len(CHOICES[one]))
        for second in range(len(CHOICES[other]))
        if not _is_refused({one: CHOICES[one][first], other: CHOICES[other][second]})
    }
    found: list[dict[str, Any]] = []
    while missing:
        one, first, other, second = min(missing)
        chosen = {one: first, other: second}
        for name in CHOICES:
            if name not in chosen:
                chosen[name] = max(
                    range(len(CHOICES[name])),
                    key=lambda index, name=name: (
                        not _is_refused(_values({**chosen, name: index})),
                        len(missing & _pairs({**chosen, name: index})),
                    ),
                )
        missing -= _pairs(chosen)
        found.append(_values(chosen))
    return found


def _pairs(chosen: Mapping[str, int]) -> set[tuple[str, int, str, int]]:
    names = [name for name in CHOICES if name in chosen]
    return {(one, chosen[one], other, chosen[other]) for one, other in itertools.combinations(names, 2)}


def _values(chosen: Mapping[str, int]) -> dict[str, Any]:
    return {name: CHOICES[name][index] for name, index in chosen.items()}


def _is_refused(settings: Mapping[str, Any]) -> bool:
    return any(rule.items() <= settings.items() for rule in NOT_TOGETHER)


@cache
def errors(template: str) -> list[str]:
    """Most stacks are the same in many combinations."""
    return [
        f"{one.rule.id} {one.message}"
        for one in lint(template, regions=REGIONS)
        if one.rule.severity == "error"
    ]


@pytest.mark.parametrize("number", range(len(pairwise())))
def test_it_can_be_deployed(number: int) -> None:
    settings = pairwise()[number]
    own_server = {"serving_url": "https://models.example.com/v1"}
    settings |= own_server if settings["serving"] == "openai_compatible" else {}

    made = templates(**settings)

    found = {stack: errors(json.dumps(template)) for stack, template in made.items()}
    assert {stack: listed for stack, listed in found.items() if listed} == {}
