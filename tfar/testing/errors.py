"""The error that failed checks raise."""


class CheckError(AssertionError):
    """Raised if a distribution violates its specification; the message names the pair, the row or the number."""
