"""Fetches nltk's data for the sandbox's container image: `python nltk_data.py FOLDER`.

Those that OpenAI's sandbox has, and `punkt_tab`, which nltk reads today where `punkt` is asked for. They come
from one commit of nltk's repository, with the sums that its index.xml has at that commit; any other bytes end
the build. It runs when the image is built, not in the function.
"""

import hashlib
import io
import sys
import urllib.request
import zipfile
from pathlib import Path

_PACKAGES = (
    "https://raw.githubusercontent.com/nltk/nltk_data/550b6625bcef1f2abff2ff770a5a0d272c9c6b2a/packages/"
)
SUMS = {
    "tokenizers/punkt": "51c3078994aeaf650bfc8e028be4fb42b4a0d177d41c012b6a983979653660ec",
    "tokenizers/punkt_tab": "e57f64187974277726a3417ca6f181ec5403676c717672eef6a748a7b20e0106",
    "corpora/names": "0eec7e958b34982662b8f05824ae64642dea097b08057ade65c252191c5fe7ca",
    "corpora/omw-1.4": "3b941e664852f3297b6040236626065796a2aaf7d7f9eec8779a3beaa1096c2d",
    "corpora/stopwords": "48c0e52d8b52546e827f53761fb30300c0ab94f70660d28bd65ba0a86270946b",
    "corpora/wordnet": "cbda5ea6eef7f36a97a43d4a75f85e07fccbb4f23657d27b4ccbc93e2646ab59",
}
_SECONDS = 120


def fetch(folder: Path, packages: str = _PACKAGES) -> None:
    """Raises: ValueError for bytes that are not what was pinned."""
    for name, expected in SUMS.items():
        with urllib.request.urlopen(f"{packages}{name}.zip", timeout=_SECONDS) as answer:  # noqa: S310
            archive = answer.read()
        found = hashlib.sha256(archive).hexdigest()
        if found != expected:
            raise ValueError(f"{name}.zip is not the pinned one: its sha256 is {found}, not {expected}.")
        target = folder / Path(name).parent
        target.mkdir(parents=True, exist_ok=True)
        zipfile.ZipFile(io.BytesIO(archive)).extractall(target)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
