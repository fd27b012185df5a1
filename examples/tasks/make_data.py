"""Write the JSONL files of every task folder beside this script: `python examples/tasks/make_data.py`.

Each task is a folder: training.jsonl, validation.jsonl, held_out.jsonl, grader.py, which scores a
completion, and job.json, the hyperparameters. The splits share no name, city, job, age, year, thing or way
to complain, so a gain on the held-out rows is not memory. Seeds are fixed: running this again changes
nothing.
"""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Row = dict[str, Any]

HERE = Path(__file__).parent
SIZES = {"training": 60, "validation": 16, "held_out": 48}
PLACES = {"training": (0, 1, 2, 3), "validation": (4,), "held_out": (5,)}

NAMES = (
    "Ana Ben Carla David Emma Felix Grace Hugo Ivy Jack Kira Leo Maria Noah Olga Paul Rosa Sam Tina Victor "
    "Alice Boris Clara Dora Eric Fiona Gavin Hannah Ian Julia Kevin Laura Martin Nina Oscar Petra Robert "
    "Sofia Anton Bella Chloe Daniel"
).split()
CITIES = (
    "Paris London Rome Madrid Berlin Tokyo Oslo Cairo Lima Boston Dublin Vienna Athens Geneva Lisbon Munich "
    "Prague Sydney Toronto Warsaw Milan Seoul Chicago Denver"
).split()
JOBS = (
    "nurse teacher baker lawyer farmer pilot doctor driver painter singer cook writer dentist plumber waiter "
    "barber tailor judge"
).split()
MONTHS = "January February March April May June July August September October November December".split()

THINGS = (
    "chair table lamp phone laptop camera kettle toaster blender mixer heater fan clock tripod radio speaker "
    "printer scanner monitor keyboard cable tablet router drill saw hammer ladder tent backpack bicycle "
    "helmet jacket shirt belt glove sofa desk cushion mirror carpet pillow blanket towel oven fridge freezer "
    "washer vacuum"
).split()
COMPLAINTS = {
    "billing": (
        "I was charged twice for the {}.",
        "The price on my invoice for the {} is wrong.",
        "Please send me a receipt for the {}.",
        "Why did you take the money for the {} two times?",
        "I paid for the {} with my card and the payment failed.",
        "The discount for the {} is not on my bill.",
        "When do I get my money back for the {}?",
        "I want to pay for the {} in two parts.",
        "My invoice says 90 dollars for the {}, but it costs 60.",
        "You billed me for a {} that I never ordered.",
        "The refund for the {} has not reached my bank.",
        "Can I change the card that pays for the {}?",
    ),
    "delivery": (
        "Where is the {} that I ordered?",
        "The {} has not arrived yet.",
        "The parcel with the {} went to the wrong address.",
        "When will you ship the {}?",
        "The courier left the {} in the rain.",
        "Tracking says that the {} is still in your warehouse.",
        "I was at home all day, and nobody brought the {}.",
        "Please send the {} to my office instead.",
        "My {} should have come last week.",
        "The box with the {} was lost on its way.",
        "How many days does shipping of the {} take?",
        "The driver could not find my house to bring the {}.",
    ),
    "technical": (
        "The {} does not work.",
        "How do I switch on the {}?",
        "The {} makes a strange noise.",
        "My {} broke after two days.",
        "A part of the {} is loose.",
        "The {} stops after a minute.",
        "I cannot find how to set up the {}.",
        "The manual of the {} does not explain the red light.",
        "The {} gets too hot.",
        "The button of the {} is stuck.",
        "My {} has a crack and no longer works.",
        "How do I clean the {}?",
    ),
}

EXAMPLES = (
    ("What do I owe you for the candle?", "billing"),
    ("My candle is still on its way.", "delivery"),
    ("The candle will not light.", "technical"),
)


def share(values: list[T], split: str) -> list[T]:
    """Of every six values four belong to training, one to validation, one to the held-out rows."""
    return [value for place, value in enumerate(values) if place % 6 in PLACES[split]]


def row(system: str, question: str, answer: Any, examples: Sequence[tuple[str, str]] = ()) -> Row:
    messages = [{"role": "system", "content": system}]
    for asked, answered in examples:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return {"messages": [*messages, {"role": "user", "content": question}], "reference_answer": answer}


def json_extraction(rng: random.Random, split: str) -> Row:
    person, city = rng.choice(share(NAMES, split)), rng.choice(share(CITIES, split))
    age = rng.choice(share(list(range(18, 80)), split))
    sentences = [
        f"{person} is {age} and lives in {city}.",
        f"{person}, {age}, comes from {city}.",
        f"In {city} lives {person}, who is {age} years old.",
    ]
    question = f"Extract name, age (a number) and city as JSON. Text: {rng.choice(sentences)}"
    return row("Reply with JSON only.", question, {"name": person, "age": age, "city": city})


def date_iso(rng: random.Random, split: str) -> Row:
    year, month, day = (
        rng.choice(share(list(range(1960, 2032)), split)),
        rng.randint(1, 12),
        rng.randint(1, 28),
    )
    name = MONTHS[month - 1]
    written = rng.choice([f"{name} {day}, {year}", f"{day} {name} {year}", f"the {day}th of {name} {year}"])
    return row(
        "Reply with the date only.", f"Write as YYYY-MM-DD: {written}", f"{year}-{month:02d}-{day:02d}"
    )


def occupation_json(rng: random.Random, split: str) -> Row:
    person, city = rng.choice(share(NAMES, split)), rng.choice(share(CITIES, split))
    job = rng.choice(share(JOBS, split))
    sentences = [
        f"{person} works as a {job} and lives in {city}.",
        f"{person}, {job}, comes from {city}.",
        f"In {city} lives {person}, who is a {job}.",
    ]
    question = f"Extract name, job and city as JSON. Text: {rng.choice(sentences)}"
    return row("Reply with JSON only.", question, {"name": person, "job": job, "city": city})


def order_json(rng: random.Random, split: str) -> Row:
    person, thing = rng.choice(share(NAMES, split)), rng.choice(share(THINGS, split))
    count = rng.choice(share(list(range(2, 80)), split))
    sentences = [
        f"Please send {count} {thing}s to {person}.",
        f"{person} orders {count} {thing}s.",
        f"{person} wants to buy {count} {thing}s.",
    ]
    question = f"Extract name, product and quantity (a number) as JSON. Text: {rng.choice(sentences)}"
    answer = {"name": person, "product": f"{thing}s", "quantity": count}
    return row("Reply with JSON only.", question, answer)


def ticket_label(rng: random.Random, split: str) -> Row:
    label = rng.choice(list(COMPLAINTS))
    complaint = rng.choice(share(list(COMPLAINTS[label]), split))
    question = complaint.format(rng.choice(share(THINGS, split)))
    return row(f"Reply with one word: {', '.join(COMPLAINTS)}.", question, label, EXAMPLES)


TASKS: list[Callable[[random.Random, str], Row]] = [
    json_extraction,
    date_iso,
    occupation_json,
    order_json,
    ticket_label,
]


def main() -> None:
    for make in TASKS:
        for split, size in SIZES.items():
            rng = random.Random(f"{make.__name__} {split}")  # noqa: S311 - data, not secrets
            rows: dict[str, Row] = {}
            while len(rows) < size:
                one = make(rng, split)
                rows[one["messages"][-1]["content"]] = one
            lines = "".join(json.dumps(one) + "\n" for one in rows.values())
            (HERE / make.__name__ / f"{split}.jsonl").write_text(lines)


if __name__ == "__main__":
    main()
