"""nltk's data for the sandbox's container image: the pinned bytes, or none."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lambdas.sandbox import nltk_data


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a place that has every package, each a zip with one file; their sums are the pinned ones."""
    folder = tmp_path / "packages"
    for name in nltk_data.SUMS:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr(f"{Path(name).name}/README", f"This is {name}.")
        file = folder / f"{name}.zip"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(archive.getvalue())
        monkeypatch.setitem(nltk_data.SUMS, name, hashlib.sha256(archive.getvalue()).hexdigest())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_lies_where_nltk_looks_for_it(packages: str, tmp_path: Path) -> None:
    nltk_data.fetch(tmp_path / "data", packages)

    assert (tmp_path / "data/corpora/omw-1.4/README").read_text() == "This is corpora/omw-1.4."
    assert (tmp_path / "data/tokenizers/punkt_tab/README").exists()


def test_other_bytes_than_the_pinned_ones_end_the_build(
    packages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(nltk_data.SUMS, "corpora/wordnet", "0" * 64)

    with pytest.raises(ValueError, match=r"corpora/wordnet\.zip is not the pinned one"):
        nltk_data.fetch(tmp_path / "data", packages)

    assert not (tmp_path / "data/corpora/wordnet").exists()
