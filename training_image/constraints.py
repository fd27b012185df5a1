"""Completions held to a grammar of `training_image.grammars`: llguidance says before each token which ones it
allows (https://github.com/guidance-ai/llguidance/tree/main/docs).
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from torch import Tensor
from transformers.convert_slow_tokenizer import bytes_to_unicode

from training_image.grammars import GrammarError
from training_image.sampling import ConstraintError

_LIMITS = LLParserLimits(verbose_errors=False)  # verbose ones carry the schema


class Vocabulary:
    """A model's tokens as llguidance sees them: bytes. Making one takes half a second for 50,000 tokens."""

    def __init__(self, tokenizer: Any, stop_token_ids: Collection[int], size: int) -> None:
        """`size`: how many logits the model has, which may be more than the tokenizer has tokens."""
        tokens = _Tokens(tokenizer, size)
        self._bytes = tokens.tokens
        self._tokens = LLTokenizer(TokenizerWrapper(tokens), n_vocab=size, eos_token=sorted(stop_token_ids))
        self._size = size

    def bytes_of(self, token: int) -> bytes:
        """What the token adds to a text, whole characters or not."""
        return self._bytes[token]

    def constraint(self, grammar: str, elsewhere: str | None = None) -> "Constraint":
        """`elsewhere`: the same form for another sampler, where that reads grammars otherwise.

        Raises: GrammarError.
        """
        text = LLMatcher.grammar_from_lark(grammar)
        failed, messages = LLMatcher.validate_grammar_with_warnings(text, self._tokens, limits=_LIMITS)
        if failed:
            raise GrammarError(" ".join(" ".join(messages).split()))
        return Constraint(
            LLMatcher(self._tokens, text, log_level=0, limits=_LIMITS), self._size, elsewhere or grammar
        )


@dataclass(frozen=True)
class Constraint:
    """A form that completions are held to; each of them by a guide of its own."""

    matcher: LLMatcher
    size: int
    grammar: str
    """The form itself, for another sampler that keeps to it."""

    def start(self) -> "Guide":
        return Guide(self.matcher.deep_copy(), self.size)


class Guide:
    """Leads one completion. When the form is complete nothing but the stop tokens is allowed."""

    def __init__(self, matcher: LLMatcher, size: int) -> None:
        self._matcher = matcher
        self._size = size

    def allowed(self) -> Tensor:
        """Which tokens may come next: booleans, one for each logit.

        Raises: ConstraintError.
        """
        bits = numpy.frombuffer(self._matcher.compute_bitmask(), dtype=numpy.uint8)
        self._check()
        allowed = numpy.unpackbits(bits, count=self._size, bitorder="little")
        return torch.from_numpy(allowed).bool()

    def accept(self, token: int) -> None:
        """Take one of the allowed tokens. Raises: ConstraintError."""
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise ConstraintError(self._matcher.get_error())


class _Tokens:
    """A tokenizer for llguidance's `TokenizerWrapper`.

    llguidance reads Hugging Face tokenizers itself, but looks at the first decoder only, which not in every
    tokenizer is the one that says how bytes are written; and it takes every token like `<think>` for a
    special one, which no text contains, where models write it as text.
    """

    def __init__(self, tokenizer: Any, size: int) -> None:
        spec = json.loads(tokenizer.backend_tokenizer.to_str())
        added = {token["id"]: token for token in spec["added_tokens"]}
        names = dict(enumerate(tokenizer.convert_ids_to_tokens(list(range(min(len(tokenizer), size))))))
        read = _byte_level if '"ByteLevel"' in json.dumps(spec["decoder"]) else _byte_fallback
        self.tokens = [
            added[token]["content"].encode() if token in added else read(names.get(token) or "")
            for token in range(size)
        ]
        self.special_token_ids = [
            token for token in range(size) if self.tokens[token] and added.get(token, {}).get("special")
        ]
        self.bos_token_id = tokenizer.bos_token_id
        self.eos_token_id = tokenizer.eos_token_id
        self._tokenizer = tokenizer

    def __call__(self, text: bytes) -> list[int]:
        return self._tokenizer.encode(text.decode(), add_special_tokens=False)


_BYTES = {character: byte for byte, character in bytes_to_unicode().items()}


def _byte_level(name: str) -> bytes:
    """A token's bytes where each is written as a character of its own (GPT-2 and after)."""
    return bytes(_BYTES[character] for character in name)


def _byte_fallback(name: str) -> bytes:
    """The same where a token is text, a blank is U+2581, and bytes that no token has are `<0x0A>`."""
    if re.fullmatch(r"<0x[0-9A-F]{2}>", name):
        return bytes([int(name[3:5], 16)])
    return name.replace("\u2581", " ").encode()
