"""The deployment's settings: the context in cdk.json or on the command line (`-c serving_url=...`), typed.

A setting is a field with its docstring, and a line in `from_context` that reads it by its type
(`setting_types.py`); docs/settings.md is made from them by `python -m scripts.settings_table`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from constructs import Node

from outcrop import own_models
from outcrop.base_models import find
from outcrop.catalogue import CATALOGUE
from outcrop.types import judge
from outcrop.types.base_model import BaseModel
from outcrop.types.judge import Judges
from stacks import access_settings, grader_settings, serving_settings, training_settings
from stacks.access_settings import CustomDomain
from stacks.grader_settings import GraderSetting
from stacks.serving_settings import ServingInstances
from stacks.setting_types import arn, check_names, choice, flag, number, text, whole_number
from stacks.training_settings import InstanceTypes, TrainingVpc

_S3_SOURCE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^*?]+)?/?)?")
_URL = r"https?://[^\s/]+(/\S*)?"
_KEY_ID = r"key/(mrk-)?[0-9a-f-]{32,36}"
_KEY_EXAMPLE = "arn:aws:kms:us-west-2:123456789012:key/0a1b2c3d-0000-1111-2222-333344445555"
_POLICY_EXAMPLE = "arn:aws:iam::123456789012:policy/developer-boundary"
_TOKEN_EXAMPLE = "arn:aws:secretsmanager:us-west-2:123456789012:secret:hugging-face-AbCdEf"  # noqa: S105
_WEIGHTS_SOURCES = ("auto", "huggingface", "jumpstart")
_DEFAULT_MODELS = tuple(
    model
    for model in CATALOGUE
    if model.id in ("openai.gpt-oss-20b", "qwen.qwen3-32b", "smollm2-135m-instruct")
)


@dataclass(frozen=True)
class Deployment:
    models: tuple[BaseModel, ...] = _DEFAULT_MODELS
    """Base models that can be fine-tuned here: ids of `outcrop/catalogue.py`, or objects that say what
    another one needs, like `{"id": "acme.qwen3-8b", "like": "qwen.qwen3-8b", "repository": "acme/Qwen3-8B",
    "revision": "<commit>"}`: see [`training.md`](training.md#models)."""
    serving: str = "sagemaker"
    """What answers as the models: `sagemaker` for endpoints that sleep when nobody asks, `bedrock_import` for
    Amazon Bedrock's Custom Model Import, `openai_compatible` for the server at `serving_url`."""
    serving_url: str = ""
    """Base URL of an OpenAI-compatible server that holds the models; it alone makes `serving`
    `openai_compatible`."""
    serving_image: str = ""
    """URI in ECR of the vLLM container of SageMaker endpoints; AWS's own, in the deployment's Region, if
    empty."""
    serving_instances: ServingInstances = field(default_factory=dict)
    """Base model to the SageMaker instance type of its endpoint, or a list of up to five, the preferred one
    first; those of `outcrop/catalogue.py` without an entry."""
    max_adapters: int = 100
    """Tuned models and checkpoints on an endpoint at a time; the least recently used one makes room, and
    comes back when it is asked for."""
    training_image: str = ""
    """URI of a training image in ECR; if empty, it is built in the account, by CodeBuild, at deployment."""
    sandbox_packages: str = "layer"
    """What Python graders may import: `layer` for those of OpenAI's packages that fit into a Lambda layer,
    `full` for all of them and nltk's data, in a container image that CodeBuild builds."""
    instance_types: InstanceTypes = field(default_factory=dict)
    """Base model, or `*` for the others, to the SageMaker instance types that its jobs ask for, one after the
    other until one is free; those of `outcrop/catalogue.py` without an entry."""
    instance_count: Mapping[str, int] = field(default_factory=dict)
    """Base model to how many machines of one kind train a job on it together, by verl; 1 without an entry.
    Not run on GPUs yet: see [`training.md`](training.md#several-machines)."""
    spot: bool = False
    """Ask for spot instances first, up to 90% cheaper and taken away at any time; then for others."""
    max_wait_seconds: int = 21_600
    """How long a job goes on asking when no machine is free, before it fails."""
    max_runtime_seconds: int = 86_400
    """An attempt of a job still training after that is stopped, and the job paused."""
    job_budget_usd: float = 500
    """What training may cost for a job that names no `budget_usd`; then it is paused. 0 for no limit."""
    warm_pool_seconds: int = 0
    """SageMaker keeps the machine for the next job for that long, and bills it; not with `spot`."""
    sampler: str = "auto"
    """What writes completions in training: `vllm`, `loop` (the trainer's own), or `auto`: vLLM where a job's
    machine has a GPU."""
    sampler_gpus: int = 0
    """Of a training machine's GPUs, how many only sample, by a vLLM server; 0: all train, and sample between
    their steps."""
    training_vpc: TrainingVpc | None = None
    """`{"vpc_id", "subnet_ids", "security_group_ids"}`: training jobs run in these subnets, from which they
    must reach S3, DynamoDB, Lambda, CloudWatch Logs and what their graders call."""
    judges: Judges = field(default_factory=dict)
    """Models that graders may ask, by the name that graders have for them: see `outcrop/types/judge.py`."""
    graders: Mapping[str, GraderSetting] = field(default_factory=dict)
    """Folders to deploy as Lambda functions that grade, by the function's name: see `grader_settings.py`."""
    s3_sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Project, or `*` for all, to the `s3://bucket/prefix` below which it may name objects as files."""
    weights_source: str = "auto"
    """Where base weights come from: `huggingface`, `jumpstart`, or `auto`: SageMaker JumpStart's copy where
    it has the same files, else Hugging Face, which in every case tells what the files have to be."""
    hugging_face_secret: str = ""
    """ARN of a secret of Secrets Manager whose text is a token of Hugging Face, for gated models."""
    max_concurrent_jobs: int = 2
    """Jobs of one project that train at the same time; more of them wait."""
    requests_per_second: int = 500
    """That each method of the API takes in the long run; more are answered 429."""
    request_burst: int = 1000
    """Requests that a method takes at once."""
    grader_prefixes: tuple[str, ...] = ()
    """Beginnings of the names (or ARNs, in other accounts) of Lambda functions that jobs may use as graders;
    `["*"]` for any. Functions with the tag `outcrop:grader` = `true`, and those of `graders`, always may."""
    custom_domain: CustomDomain | None = None
    """`{"name", "certificate_arn", "hosted_zone_id"}`: a name of your own for the API, at which `/v1` and
    `/openai/v1` answer. The certificate is in ACM, in the same Region; with a hosted zone of Route 53 the
    name's record is made, too."""
    waf: bool = False
    """A web ACL before the API: AWS's managed rules and a limit per address. It costs about 8 USD a month."""
    kms_key: str = ""
    """ARN of a KMS key of this account and Region that encrypts table, bucket, what jobs write, and
    the volumes of instances without disks of their own; keys that AWS owns if empty."""
    permissions_boundary: str = ""
    """ARN of a managed policy that bounds every role of the app."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Put on everything that can have tags."""
    log_retention_days: int = 30
    """After which logs are deleted: a number of days that CloudWatch Logs offers."""
    alarm_email: str = ""
    """Gets a message when an alarm goes off or a job ends. AWS asks it to confirm first."""
    dev: bool = False
    """Delete table, bucket and all that lies in them with the stacks, instead of keeping them."""

    @property
    def sandbox_stack(self) -> str:
        """Its name is another for another kind of function: a stack cannot give up what others import."""
        return "OutcropSandboxFull" if self.sandbox_packages == "full" else "OutcropSandbox"

    @property
    def trains_on_several(self) -> bool:
        return any(count > 1 for count in self.instance_count.values())

    @property
    def model_ids(self) -> list[str]:
        return [model.id for model in self.models]

    @property
    def own_models_json(self) -> str:
        """As OUTCROP_OWN_MODELS has them."""
        return own_models.to_json([model for model in self.models if model not in CATALOGUE])

    @property
    def judges_json(self) -> str:
        """As OUTCROP_JUDGES has them."""
        return json.dumps({name: one.model_dump(exclude_none=True) for name, one in self.judges.items()})

    @classmethod
    def from_context(cls, node: Node) -> "Deployment":
        """Raises: ValueError that names the setting and what would be right."""
        check_names(node, [one.name for one in fields(cls)])
        models = _models(node.try_get_context("models"))
        known = (*CATALOGUE, *(model for model in models if model not in CATALOGUE))
        serving_url = text(node, "serving_url", pattern=_URL, like="https://models.example.com/v1")
        deployment = cls(
            models=models,
            serving=serving_settings.serving(node, serving_url),
            serving_url=serving_url,
            serving_image=serving_settings.serving_image(node),
            serving_instances=serving_settings.serving_instances(node, known),
            max_adapters=whole_number(node, "max_adapters", 1, 1000, cls.max_adapters),
            training_image=text(node, "training_image"),
            sandbox_packages=choice(node, "sandbox_packages", "layer", "full", default=cls.sandbox_packages),
            instance_types=training_settings.instance_types(node, known),
            instance_count=training_settings.instance_count(node, known),
            spot=flag(node, "spot"),
            max_wait_seconds=whole_number(node, "max_wait_seconds", 0, 604_800, cls.max_wait_seconds),
            max_runtime_seconds=whole_number(
                node, "max_runtime_seconds", 60, 432_000, cls.max_runtime_seconds
            ),
            job_budget_usd=number(node, "job_budget_usd", 0, cls.job_budget_usd),
            warm_pool_seconds=whole_number(node, "warm_pool_seconds", 0, 21_600, cls.warm_pool_seconds),
            sampler=choice(node, "sampler", "auto", "vllm", "loop", default=cls.sampler),
            sampler_gpus=whole_number(node, "sampler_gpus", 0, 7, cls.sampler_gpus),
            training_vpc=training_settings.training_vpc(node),
            weights_source=choice(node, "weights_source", *_WEIGHTS_SOURCES, default=cls.weights_source),
            hugging_face_secret=arn(
                node,
                "hugging_face_secret",
                service="secretsmanager",
                resource="secret:.+",
                like=_TOKEN_EXAMPLE,
            ),
            max_concurrent_jobs=whole_number(node, "max_concurrent_jobs", 1, 100, cls.max_concurrent_jobs),
            requests_per_second=whole_number(node, "requests_per_second", 1, 10_000, cls.requests_per_second),
            request_burst=whole_number(node, "request_burst", 1, 5_000, cls.request_burst),
            grader_prefixes=access_settings.grader_prefixes(node),
            custom_domain=access_settings.custom_domain(node),
            waf=flag(node, "waf"),
            kms_key=arn(node, "kms_key", service="kms", resource=_KEY_ID, like=_KEY_EXAMPLE),
            permissions_boundary=arn(
                node, "permissions_boundary", service="iam", resource="policy/.+", like=_POLICY_EXAMPLE
            ),
            tags=access_settings.tags(node),
            log_retention_days=access_settings.log_retention_days(node, cls.log_retention_days),
            alarm_email=text(node, "alarm_email", pattern=r"[^@\s]+@[^@\s]+", like="ops@example.com"),
            dev=flag(node, "dev"),
            judges=_judges(node.try_get_context("judges")),
            graders=_graders(node.try_get_context("graders")),
            s3_sources=_s3_sources(node.try_get_context("s3_sources")),
        )
        training_settings.check(deployment)
        return deployment


def _models(value: Any) -> tuple[BaseModel, ...]:
    """A list; on the command line, where every value is a string, ids joined by commas, or JSON."""
    said = value
    if isinstance(value, str):
        said = _object(value) if value.startswith("[") else value.split(",")
    if not said:
        return _DEFAULT_MODELS
    if not isinstance(said, list) or not all(isinstance(one, str | dict) for one in said):
        raise ValueError(f"models must be a list of model ids, not {value!r}. Known: {_ids()}.")
    models = {model.id: model for model in map(_model, said)}
    return tuple(models.values())


def _model(said: str | dict[str, Any]) -> BaseModel:
    if isinstance(said, dict):
        try:
            return own_models.read(said)
        except ValueError as error:
            raise ValueError(f"models: {error}") from error
    found = find(said.strip(), CATALOGUE)
    if found is None:
        raise ValueError(f"models: '{said}' is not a model that can be fine-tuned. Known: {_ids()}.")
    return found


def _ids() -> str:
    return ", ".join(model.id for model in CATALOGUE)


def _judges(value: Any) -> Judges:
    try:
        return judge.parse(_object(value))
    except ValueError as error:
        example = '{"gpt-5-mini": {"provider": "bedrock", "model": "openai.gpt-oss-120b-1:0"}}'
        raise ValueError(f"judges must be like {example}. {error}.") from error


def _graders(value: Any) -> dict[str, GraderSetting]:
    try:
        graders = _object(value)
    except ValueError:
        graders = value
    return grader_settings.parse(graders)


def _object(value: Any) -> Any:
    """On the command line, JSON text. Raises: ValueError if it is not."""
    return json.loads(value) if isinstance(value, str) and value else value or {}


def _s3_sources(value: Any) -> dict[str, list[str]]:
    try:
        sources = _object(value)
    except ValueError:
        sources = None
    if isinstance(sources, dict) and all(
        isinstance(uris, list) and all(isinstance(uri, str) and _S3_SOURCE.fullmatch(uri) for uri in uris)
        for uris in sources.values()
    ):
        return sources
    raise ValueError(
        f's3_sources must be like {{"my-project": ["s3://bucket/prefix"], "*": []}}, not {value!r}.'
    )
