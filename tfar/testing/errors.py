"""The error of a check that found something wrong."""


class CheckError(AssertionError):
    """A distribution does not hold what it promises; the message names the pair, the row or the number."""
