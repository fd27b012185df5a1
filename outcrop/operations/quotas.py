"""SageMaker's quotas in its own words: their name, what they allow, and their code where it is known.

`CreateTrainingJob` answers ResourceLimitExceeded at once when an account may not have a machine. For most GPU
types that is so until somebody has asked for more: the default is zero.
"""

import re
from dataclasses import dataclass

_TEXT = re.compile(
    r"service limit '(?P<name>[^']+)' is (?P<allowed>\d+)(?:.*?current utilization of (?P<used>\d+))?"
    r"(?:.*?request delta of (?P<asked>\d+))?",
    re.DOTALL,
)
# As public sources give them; `outcrop doctor` looks up those of an account.
_CODES = {
    "ml.g4dn.xlarge for training job usage": "L-3F53BF0F",
    "ml.g5.xlarge for training job usage": "L-B6D80D9C",
    "ml.p5.4xlarge for training job usage": "L-C2764A80",
    "ml.p5.48xlarge for training job usage": "L-82E1C851",
    "ml.p5.48xlarge for spot training job usage": "L-82733FAD",
}


@dataclass(frozen=True)
class Quota:
    name: str
    """As Service Quotas calls it, below Amazon SageMaker."""
    code: str | None
    allowed: int | None
    """Instances; None where SageMaker does not say."""
    is_in_use: bool
    """Others use what it allows: it is free again when they are done."""

    def __str__(self) -> str:
        named = f"quota '{self.name}'" + (f" ({self.code})" if self.code else "")
        if self.allowed is None:
            return f"the {named} does not allow it"
        return f"the {named} is {self.allowed}" + (", and in use" if self.is_in_use else "")


def exceeded(text: str, instance_type: str, *, is_spot: bool) -> Quota:
    """The quota that SageMaker's error names; the one of the machine if it names none."""
    found = _TEXT.search(text)
    if found is None:
        name = f"{instance_type} for {'spot ' if is_spot else ''}training job usage"
        return Quota(name, _CODES.get(name), None, is_in_use=False)
    allowed, asked = int(found["allowed"]), int(found["asked"] or 1)
    return Quota(found["name"], _CODES.get(found["name"]), allowed, is_in_use=allowed >= asked)
