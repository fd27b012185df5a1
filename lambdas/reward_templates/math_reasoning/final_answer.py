"""What a completion states as its final answer. Pure, and linear in the length of the text.

Only its last 20,000 characters are read: that is where a final answer stands.

The first of these that the text uses, in this order, decides; what it says in any other way is reasoning:

1. `\\boxed{x}` or `\\fbox{x}`;
2. a line `#### 18`, as in GSM8K: a number alone, so that a Markdown heading is none;
3. `answer is x`, `answer: x`, to the end of the sentence;
4. all of it, if it is one line without prose: `x^2 + 1`, `\\frac{1}{2}`, `Monday`;
5. the last number.
"""

import re

UNSIGNED = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"

_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_HASHES = re.compile(r"^ {0,3}#### ?([-+]?[$€£]? ?[-+]?[\d.][\d.,/]* ?%?) {0,3}$", re.MULTILINE)
_PHRASE = re.compile(
    r"\banswer\b[*_ ]{0,5}(?:is|:|=)[:*_ ]{0,5}([^\n]{1,200}?)(?=[.!]?[*_ ]{0,5}(?:\n|$)|[.!]\s)",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"(?:\\[A-Za-z]+|[^\n\\=A-Za-z]|\\[^\nA-Za-z]|(?<![A-Za-z])[A-Za-z](?![A-Za-z]))+|[A-Za-z]+"
)
_LONGEST_BARE = 200
_LAST = re.compile(rf"(?:(?<![\w)\].])-)?{UNSIGNED}(?:/{UNSIGNED})?%?")
_READ = 20_000


def final_answers(text: str) -> tuple[list[str], bool]:
    """The different answers it states, and whether they are marked by `\\boxed` or `####`. More than one is
    a guess, though the right one may be among them.
    """
    text = text[-_READ:]
    for found, is_marked in ((boxed(text), True), (after_hashes(text), True), (_PHRASE.findall(text), False)):
        if found:
            return list({_spelled(answer): answer for answer in found}.values()), is_marked
    line = text.strip()
    if len(line) <= _LONGEST_BARE and "box" not in line and _BARE.fullmatch(line):
        return [line], False
    return _LAST.findall(text)[-1:], False


def boxed(text: str) -> list[str]:
    """What is in the innermost boxes. A box that is never closed, as in a text that was cut off, is none."""
    opened: list[int | None] = []
    closed: list[tuple[int, int]] = []
    for mark in _BRACE.finditer(text):
        if mark[0] == "{":
            opened.append(None)
        elif "box" in mark[0]:
            opened.append(mark.end())
        elif mark[0] == "}" and opened:
            start = opened.pop()
            if start is not None and (not closed or closed[-1][0] < start):  # else that one is in this one
                closed.append((start, mark.start()))
    return [text[start:end].strip() for start, end in closed]


def after_hashes(text: str) -> list[str]:
    return _HASHES.findall(text)


def _spelled(answer: str) -> str:
    """`$1,800$.` and `1800` are one answer, stated twice."""
    return re.sub(r"[\s$*]|(?<=\d),(?=\d{3})", "", answer).rstrip(".")
