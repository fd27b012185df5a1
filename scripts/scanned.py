"""Write what scanners read: the templates, and each role's policy with its references filled in.

`python -m scripts.scanned FOLDER`
"""

import json
import sys
from pathlib import Path
from typing import Any

from scripts.synthesis import templates
from tests.stacks.iam import Account


def main(folder: Path) -> None:
    of = templates()
    for name in ("templates", "policies"):
        (folder / name).mkdir()
    for stack, template in of.items():
        (folder / f"templates/{stack}.template.json").write_text(json.dumps(template, indent=1))
    everything: list[dict[str, Any]] = []
    for role, policy in Account(of).policies().items():
        statements = [{key: part for key, part in one.items() if part} for one in policy.statements]
        everything += statements
        (folder / f"policies/{role.replace(' ', '-')}.json").write_text(_document(statements))
    (folder / "all_policies.json").write_text(_document(everything))


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
