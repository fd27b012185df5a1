"""What OpenAI takes and other servers do not, in words that all understand."""

from typing import Any

from outcrop.types.model import ServedModel

_EFFORTS = {"minimal": "low", "xhigh": "high", "max": "high"}
"""OpenAI's names for how much to think, where vLLM has fewer."""


def spoken(model: ServedModel, request: dict[str, Any]) -> dict[str, Any]:
    spoken = dict(request)
    if request.get("top_p") == 0:
        spoken["top_p"] = 1e-9  # vLLM refuses 0; either leaves the likeliest token alone
    if effort := request.get("reasoning_effort"):
        spoken["reasoning_effort"] = _EFFORTS.get(effort, effort)
    # Templates that do not know OpenAI's newer name for the system drop such a message without a word.
    if "messages" in request and not model.base_model.startswith("openai."):
        spoken["messages"] = [
            message | {"role": "system"} if message["role"] == "developer" else message
            for message in request["messages"]
        ]
    return spoken
