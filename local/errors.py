"""The one error that `outcrop local` prints without a traceback."""


class LocalError(Exception):
    """Something on this machine keeps the local loop from starting; the message says what, and what would be
    right.
    """
