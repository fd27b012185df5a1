"""Where what is made once and used by every run lies: base weights and synthesized templates."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def cache_folder() -> Path:
    """`$OUTCROP_CACHE`, else `.outcrop` in the checkout."""
    return Path(os.environ.get("OUTCROP_CACHE", REPOSITORY / ".outcrop")).resolve()


def weights(model_id: str) -> Path:
    """Folder of a base model's weights, in Hugging Face's layout."""
    return cache_folder() / "models" / model_id
