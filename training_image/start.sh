#!/bin/bash
# The container's entry point; SageMaker adds the word `train`, which says nothing new.
#
# First the part of the base image's own entry point that a training job needs: on a machine whose driver is older than
# the image's CUDA, it puts CUDA's compatibility libraries on the library path. Then Python takes this process over, so
# that SIGTERM reaches it.
compat=/usr/local/bin/start_cuda_compat.sh
# shellcheck source=/dev/null
if [ -r "$compat" ]; then . "$compat"; fi
exec python -m training_image.train
