"""`python -m local.web_adapter MODULE:APP --fd FD`: an ASGI application on an inherited listening socket, as
the Lambda Web Adapter serves a function's.
"""

import argparse

import uvicorn

from local.processes import inherited


def main() -> None:
    parser = argparse.ArgumentParser(prog="local.web_adapter")
    parser.add_argument("app")
    parser.add_argument("--fd", type=int, required=True)
    arguments = parser.parse_args()
    config = uvicorn.Config(arguments.app, log_level="warning")
    uvicorn.Server(config).run([inherited(arguments.fd)])


if __name__ == "__main__":
    main()
