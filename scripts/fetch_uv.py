"""Fetch the uv wheel with the standard library alone, for a Python without pip and venv (as Debian has it).

`python3 scripts/fetch_uv.py VERSION FOLDER` puts the `uv` program into FOLDER. The wheel is checked against
the sha256 that the package index states for it.
"""

import hashlib
import html
import io
import os
import platform
import re
import sys
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import urljoin

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")


def fits(filename: str, version: str) -> bool:
    """Is this the wheel of that version for this machine? Tags change, the words in them do not."""
    machine = platform.machine().lower()
    machine = MACHINES.get(machine, machine)
    words = ("manylinux", machine)
    if sys.platform == "darwin":
        words = ("macosx", machine.replace("aarch64", "arm64"))
    return filename.startswith(f"uv-{version}-") and all(word in filename for word in words)


def main(version: str, folder: Path) -> None:
    with urllib.request.urlopen(f"{INDEX}/uv/", timeout=60) as reply:  # noqa: S310 - the index is the user's
        page, base = reply.read().decode(), reply.url
    links = [html.unescape(link) for link in re.findall(r'href="([^"]+\.whl#sha256=[0-9a-f]{64})"', page)]
    found = [link for link in links if fits(link.rpartition("#")[0].rpartition("/")[2], version)]
    if not found:
        sys.exit(
            f"No uv {version} for this machine. Install uv (https://docs.astral.sh/uv), then run make again."
        )
    address, _, digest = urljoin(base, found[0]).partition("#sha256=")
    with urllib.request.urlopen(address, timeout=300) as reply:  # noqa: S310
        wheel = reply.read()
    if hashlib.sha256(wheel).hexdigest() != digest:
        sys.exit("The uv wheel arrived damaged: its sha256 is not the index's. Run make again.")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        program = folder / "uv"
        program.write_bytes(archive.read(member))
    program.chmod(0o755)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
