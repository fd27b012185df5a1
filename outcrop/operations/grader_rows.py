"""A grader's templates against the rows it is to grade: the first ones before there is a job, all in its
workflow.
"""

from typing import Any

from outcrop import dataset
from outcrop.dataset import RowCheck
from outcrop.errors import APIError
from outcrop.graders.columns import columns
from outcrop.stores.files import FileStore
from outcrop.types.file import StoredFile
from outcrop.types.grader import Grader

_FIRST_ROWS = 100
_FIRST_BYTES = 256 * 1024
"""One short read: the caller waits for it."""


def check_first(grader: Grader, file: StoredFile, project: str, *, param: str) -> None:
    """Refuse a grader whose templates read what one of the file's first rows does not have.

    A file whose parts are not put together yet, or that was deleted meanwhile, is left to the workflow.

    Raises: APIError about the field of the grader, which is at `param`, or about `training_file`.
    """
    read = columns(grader)
    if not read or file.upload_id:
        return
    for number, row in _first_rows(file, project):
        for column in read:
            if problem := column.missing(row):
                raise APIError(
                    f"{param}.{column.field}: line {number} of training_file '{file.id}' {problem}.",
                    param=f"{param}.{column.field}",
                    code="invalid_variable_error",
                )


def _first_rows(file: StoredFile, project: str) -> list[tuple[int, dict[str, Any]]]:
    try:
        lines = FileStore(project).first_lines(file, size=_FIRST_BYTES)
        return list(dataset.first_rows(lines[:_FIRST_ROWS]))
    except FileNotFoundError:
        return []
    except dataset.DatasetError as error:
        message = f"training_file: {error.message}"
        raise APIError(message, param="training_file", code=error.code) from error


def check_of(grader: Grader) -> RowCheck:
    """What `dataset` checks of every row."""
    read = columns(grader)
    return lambda row: next((problem for column in read if (problem := column.missing(row))), None)
