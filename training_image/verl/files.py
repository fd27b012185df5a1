"""The files that verl reads: which rows there are, and nothing of what is in them. The agent loop reads the
rows themselves, in their channels, which lie on every host.
"""

import json
from pathlib import Path

TRAINING, VALIDATION = "training", "validation"


def write(folder: Path, channel: str, rows: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = (
        {
            "prompt": [{"role": "user", "content": "-"}],
            "data_source": channel,
            "reward_model": {"ground_truth": ""},
            "extra_info": {"index": index},
        }
        for index in range(rows)
    )
    (folder / f"{channel}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
