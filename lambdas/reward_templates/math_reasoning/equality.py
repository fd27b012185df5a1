"""Is an answer equal to the reference? As texts for words, by Math-Verify and sympy for mathematics.

Math-Verify (https://github.com/huggingface/Math-Verify) compares numbers, fractions, percentages,
expressions, equations, sets, intervals and matrices.
"""

import logging
import multiprocessing
import re
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess

from final_answer import UNSIGNED
from math_verify import LatexExtractionConfig, parse, verify

LONGEST_ANSWER = 200
"""Characters. What is longer is no final answer."""

_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mbox)\s*\{([^{}]*)\}")
_SIGNS = re.compile(r"(?<!\\)\\[$,;:! ]|[$€£*]")
_FRACTION = rf"\\frac\s*\{{\s*{UNSIGNED}\s*\}}\s*\{{\s*{UNSIGNED}\s*\}}"
_POWER_OF_TEN = r"\s*(?:\\times|\\cdot|\u00d7|x)\s*10\s*\^\s*(?:\{[-+]?\d+\}|\d)"
_NUMBER = re.compile(
    r"(?:(?:about|approximately|exactly|≈|~)\s*)?"
    rf"(?P<number>[-+]?\s*(?:(?:\d+\s*)?{_FRACTION}|{UNSIGNED}\s*/\s*{UNSIGNED}"
    rf"|{UNSIGNED}(?:{_POWER_OF_TEN})?)\s*(?:\\?%)?)"
    r"(?:\s*\^?\{?(?:\\circ|°)\}?)?"
    r"(?: ?[^\W\d_]+(?:[ /][^\W\d_]+){0,3})?"  # what it counts: `dollars`, `eggs a day`
)
_WORDS = re.compile(r"[^\W\d_]{3,}(?:[ '-][^\W\d_]+)*")
_FORK = multiprocessing.get_context("fork")
_LATEX = [LatexExtractionConfig(boxed_match_priority=0)]

for _library in ("math_verify", "latex2sympy2_extended"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)  # below that they quote what they cannot read


class CannotCompare(Exception):
    """The message quotes neither answer nor reference."""


class Comparer:
    """Compares in a process of its own, which can be ended whatever it computes: a signal, by which
    Math-Verify limits its time, does not interrupt 9^9^9^9. (Lambda has no shared memory; a pipe needs none.)
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._process: ForkProcess | None = None
        _equal("x", "\\frac{1}{2}")  # builds the parser's tables (a second) here, and not in every process

    def __call__(self, reference: str, answer: str) -> bool:
        """Raises: CannotCompare if the reference is nothing to compare with, or the time is up."""
        if len(answer) > LONGEST_ANSWER:
            return False
        wanted, given = plain_number(reference), plain_number(answer)
        if wanted is not None:  # then `9 + 9` is the question and not its answer, and `36/2` is, too
            unfinished = given is None or (_is_fraction(given) and wanted.lstrip("-+").isdigit())
            return not unfinished and self._compare(wanted, given or "")
        reference, answer = _cleaned(reference), _cleaned(answer)
        if _WORDS.fullmatch(reference):  # to sympy a word is the product of its letters, in any order
            return reference.casefold() == answer.casefold()
        return self._compare(reference, answer)

    def _compare(self, reference: str, answer: str) -> bool:
        if self._process is None or not self._process.is_alive():
            self._start()
        self._pipe.send((reference, answer))
        try:
            if not self._pipe.poll(self._seconds):
                raise CannotCompare(f"comparing took longer than {self._seconds:g} s")
            equal = self._pipe.recv()
        except (EOFError, ConnectionError, CannotCompare) as error:
            self._end()
            raise CannotCompare(str(error) or "comparing ended its process") from None
        if equal is None:
            raise CannotCompare("the row's reference_answer is no mathematics that can be read")
        return equal

    def _start(self) -> None:
        self._pipe, theirs = _FORK.Pipe()
        process = _FORK.Process(target=_serve, args=(theirs, self._pipe), daemon=True)
        process.start()
        theirs.close()
        self._process = process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._process = None


def plain_number(text: str) -> str | None:
    """The number that a text is: `x = $1,800$ dollars` is 1,800; `9 + 9`, `16 or 18`, `not 18` are none."""
    text = _cleaned(text).replace("\u2212", "-").rpartition("=")[2].strip()
    match = _NUMBER.fullmatch(re.sub(r"\\[dtc]frac", r"\\frac", text))
    return match["number"] if match else None


def _cleaned(text: str) -> str:
    text = _TEXT.sub(r" \1", text).replace("{,}", ",")
    return " ".join(_SIGNS.sub("", text).split()).rstrip(". ")


def _is_fraction(number: str) -> bool:
    return "/" in number or "frac" in number


def _serve(pipe: Connection, other_end: Connection) -> None:
    other_end.close()  # or this process would never see that the one that asks has ended
    while True:
        try:
            pipe.send(_equal(*pipe.recv()))
        except EOFError:
            return


def _equal(reference: str, answer: str) -> bool | None:
    """None if the reference cannot be read. Without Math-Verify's own time limit: see `Comparer`."""
    gold, found = (
        parse(f"\\boxed{{{text}}}", extraction_config=_LATEX, parsing_timeout=0)
        for text in (reference, answer)
    )
    return verify(gold, found, timeout_seconds=0) if gold else None
