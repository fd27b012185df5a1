#!/bin/sh
# Started by the Lambda Web Adapter in place of Python's own runtime client, which would have put the layer on the path.
PYTHONPATH="/opt/python:${PYTHONPATH:-}" exec python -m uvicorn lambdas.inference.app:app \
    --host 127.0.0.1 --port "${PORT:-8080}" --log-level warning --no-access-log
