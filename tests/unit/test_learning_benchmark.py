"""What the benchmark of what jobs learn runs, and how it tells."""

from benchmarks.learning import examined, missing, table


def test_a_run_that_has_its_line_is_not_run_again_unless_other_hyperparameters_are_asked_for() -> None:
    done = [{"task": "sum", "seed": 1, "asked": {}}]

    assert missing(done, ["sum", "sort"], [1, 2], {}) == [("sort", 1), ("sum", 2), ("sort", 2)]
    assert missing(done, ["sum"], [1], {"beta": 0.1}) == [("sum", 1)]


def test_a_runs_row_has_both_models_on_the_held_out_rows_and_what_the_job_warned_of() -> None:
    found = examined([0.0, 0.5, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.5])
    line = {
        "task": "sum",
        "seed": 2,
        "asked": {"beta": 0.1},
        "train": {"1": 0.1, "2": 0.2},
        "warnings": ["Flat (0.1): so."],
    }

    row = table([line | found]).splitlines()[-1]

    assert row.startswith("| sum | 2 | beta 0.1 | 2 | 0.100 (")
    assert "| 5, 0 | 0.03 |" in row
    assert row.endswith("| Flat |")


def test_a_run_that_failed_has_a_row_too() -> None:
    line = {
        "task": "sum",
        "seed": 2,
        "asked": {},
        "train": {},
        "warnings": [],
        "failure": "The grader failed.",
    }

    assert "| failed: The grader failed. |" in table([line])
