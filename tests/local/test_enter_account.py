"""A command that turns to the account of a running `outcrop local`."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from unittest.mock import patch

from outcrop.cli.local import enter_account
from outcrop.settings import settings
from outcrop.stores import clients


@patch.dict(os.environ)
def test_settings_that_were_read_before_are_those_of_the_account_afterwards(tmp_path: Path) -> None:
    for name in ("OUTCROP_TABLE", "OUTCROP_BUCKET"):
        os.environ.pop(name, None)
    settings.cache_clear()
    assert settings().table == ""  # as when a command asks the catalogue before anything runs
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running = {"endpoint_url": f"http://127.0.0.1:{server.server_port}", "table": "t", "bucket": "b"}
        (tmp_path / "local.json").write_text(json.dumps(running))

        enter_account(tmp_path)
        server.shutdown()

    assert (settings().table, settings().bucket) == ("t", "b")
    settings.cache_clear()
    clients.dynamodb_table.cache_clear()
