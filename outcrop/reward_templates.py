"""The seven reward templates: complete Lambda handlers that their users copy and own.

They lie in `lambdas/reward_templates`, in a checkout as in an installed wheel, and import nothing of Outcrop.
"""

import shutil
from pathlib import Path

RULES = ("math_reasoning", "format_constraints", "generic")
JUDGES = ("instruction_following", "summarization", "reasoning_quality", "rag_faithfulness")
"""These ask a model, by way of `judge.py`, which all four share and each copy has beside its handler."""

FOLDER = Path(__file__).parent.parent / "lambdas" / "reward_templates"
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def copy(name: str, folder: Path) -> None:
    """All of the template, into a folder that is empty or not there yet."""
    shutil.copytree(FOLDER / name, folder, ignore=_NOT_COPIED, dirs_exist_ok=True)
    if name in JUDGES:
        shutil.copy(FOLDER / "judge.py", folder)
