#!/bin/bash
# The container's entry point on every host, as training_image/start.sh is on one.
compat=/usr/local/bin/start_cuda_compat.sh
# shellcheck source=/dev/null
if [ -r "$compat" ]; then . "$compat"; fi
exec python -m training_image.verl.launch
