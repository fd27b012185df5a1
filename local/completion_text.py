"""Tokens become text as they come: whole characters only, up to the first stop string."""

from collections.abc import Callable, Sequence

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"


class CompletionText:
    """The text of one completion.

    A token is not a piece of text: a character may be spread over several tokens, and a tokenizer may write a
    token differently at the start of a text. So new tokens are decoded together with those just before them,
    and what they add is the text (as vLLM and TGI do it). Text that a stop string may begin with is kept
    back.
    """

    def __init__(self, decode: Callable[[list[int]], str], stops: Sequence[str]) -> None:
        self._decode = decode
        self._stops = stops
        self._tokens: list[int] = []
        self._context = 0  # where the tokens begin that new ones are decoded with
        self._read = 0  # where the tokens begin whose text is not out yet
        self._held = ""
        self.length = 0
        """Characters so far, kept-back ones included: where the next token's text begins."""
        self.is_stopped = False
        """A stop string has come; nothing that follows counts."""

    def add(self, token: int) -> str:
        """The text that is certain now and was not before."""
        self._tokens.append(token)
        text = self._undecoded()
        if text.endswith(_UNFINISHED):
            return ""
        self._context, self._read = self._read, len(self._tokens)
        self.length += len(text)
        return self._up_to_stop(text)

    def end(self) -> str:
        """What was kept back, when no more tokens come."""
        text = self._up_to_stop(self._undecoded())
        return text if self.is_stopped else text + self._held

    def _undecoded(self) -> str:
        known = self._decode(self._tokens[self._context : self._read])
        return self._decode(self._tokens[self._context :])[len(known) :]

    def _up_to_stop(self, text: str) -> str:
        text = self._held + text
        found = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.is_stopped = True
            return text[: min(found)]
        certain = len(text) - self._beginning_of_stop(text)
        self._held = text[certain:]
        return text[:certain]

    def _beginning_of_stop(self, text: str) -> int:
        """How many characters at the end of `text` may turn out to begin a stop string."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        lengths = range(min(longest, len(text)), 0, -1)
        return next((n for n in lengths if any(stop.startswith(text[-n:]) for stop in self._stops)), 0)
