"""The part of WordNet 3.0 that METEOR asks: which words mean the same as this one.

nltk's own reader loads 30 MB of files into 118 MB of memory, and nltk's data is on no package index. Here is
the same answer out of 0.4 MB (`scripts/wordnet_synonyms.py` makes them); tests hold it to nltk's reader. Only
synsets are left out that make no two words of METEOR's, which are all in lower case, alike.

The data is Princeton University's, under the licence beside it in `wordnet-3.0.LICENSE.txt`.
"""

import lzma
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_DATA = Path(__file__).with_name("wordnet-3.0.txt.xz")

# nltk's `WordNetCorpusReader.MORPHOLOGICAL_SUBSTITUTIONS`, of nouns, verbs, adjectives and adverbs.
_ENDINGS: Final[tuple[tuple[tuple[str, str], ...], ...]] = (
    (
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    (
        ("s", ""),
        ("ies", "y"),
        ("es", "e"),
        ("es", ""),
        ("ed", "e"),
        ("ed", ""),
        ("ing", "e"),
        ("ing", ""),
    ),
    (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    (),
)


@dataclass(frozen=True)
class Lemma:
    """nltk's `Lemma`, as far as METEOR looks at it."""

    spelling: str

    def name(self) -> str:
        return self.spelling


@dataclass(frozen=True)
class Synset:
    """nltk's `Synset`, as far as METEOR looks at it."""

    names: Sequence[str]

    def lemmas(self) -> list[Lemma]:
        return [Lemma(name) for name in self.names]


@dataclass(frozen=True)
class _PartOfSpeech:
    synsets: Mapping[str, Sequence[str]]
    """By each of their names in lower case, the lines of the file."""
    exceptions: Mapping[str, Sequence[str]]
    """Inflected forms that follow no rule, and what they are forms of."""
    endings: Sequence[tuple[str, str]]

    def find(self, word: str) -> list[Synset]:
        """nltk's `_morphy`: of the word as it is, and of all that it may be a form of."""
        forms = self.exceptions.get(word) or [
            word.removesuffix(old) + new for old, new in self.endings if word.endswith(old)
        ]
        distinct = dict.fromkeys([word, *forms])
        return [Synset(line.split(" ")) for form in distinct for line in self.synsets.get(form, ())]


@dataclass(frozen=True)
class WordNet:
    """Stands in for nltk's `WordNetCorpusReader` in `nltk.translate.meteor_score`."""

    parts_of_speech: Sequence[_PartOfSpeech]

    def synsets(self, word: str) -> list[Synset]:
        return [synset for part in self.parts_of_speech for synset in part.find(word.lower())]


@cache
def wordnet() -> WordNet:
    """Read at first use, in a fifth of a second."""
    text = lzma.decompress(_DATA.read_bytes()).decode("ascii")
    blocks = [block.split("\n") for block in text.split("\n\n")]
    return WordNet(
        [
            _PartOfSpeech(_by_name(synsets), _by_form(forms), endings)
            for synsets, forms, endings in zip(blocks[::2], blocks[1::2], _ENDINGS, strict=True)
        ]
    )


def _by_name(lines: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        for name in line.lower().split(" "):
            found[name].append(line)
    return dict(found)


def _by_form(lines: Sequence[str]) -> dict[str, list[str]]:
    return {form: of for form, *of in (line.split(" ") for line in lines)}
