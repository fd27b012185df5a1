"""The part of a page that a script makes: what stands between its two marks is replaced, the rest is left."""

_END = "<!-- made until here -->\n"


def replaced(page: str, by: str, text: str) -> str:
    """`page` with `text` in place of what the module `by` made before."""
    begin = f"<!-- made by `python -m {by}` -->\n"
    head, rest = page.split(begin)
    _, tail = rest.split(_END, 1)
    return f"{head}{begin}{text}{_END}{tail}"
