#!/bin/sh
# Scanners whose pinned libraries do not go together with ours, each in an environment of its own, over the
# templates and policies of a deployment with default settings, and over the Dockerfiles. Answers to Checkov's findings stand in both.
set -eu
cd "$(dirname "$0")/.."
uv=.tools/bin/uv
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
.venv/bin/python -m scripts.scanned "$found"

"$uv" tool run --from checkov==3.3.30 checkov --directory "$found/templates" --framework cloudformation \
    --compact --quiet --skip-download

"$uv" tool run --from checkov==3.3.30 checkov --file training_image/Dockerfile training_image/verl/Dockerfile \
    lambdas/sandbox/Dockerfile --framework dockerfile --compact --quiet --skip-download

"$uv" tool run --from cloudsplaining==0.9.1 cloudsplaining scan-policy-file \
    --input-file "$found/all_policies.json" --exclusions-file scripts/cloudsplaining.yaml | tee "$found/issues"
! grep -q "Potential Issue" "$found/issues"
