"""What is refused, with the code that gRPC and HTTP give it."""

import grpc

from tests.serving.savedmodel_runtime import RuntimeStatus

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
}


class Refused(Exception):
    """A request that gets an error status."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def http(self) -> int:
        """The status of the answer over REST."""
        return _HTTP.get(self.code, 500)


def invalid(message: str) -> Refused:
    """INVALID_ARGUMENT, 400."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> Refused:
    """NOT_FOUND, 404."""
    return Refused(grpc.StatusCode.NOT_FOUND, message)


def failed_precondition(message: str) -> Refused:
    """FAILED_PRECONDITION, 400."""
    return Refused(grpc.StatusCode.FAILED_PRECONDITION, message)


def of_runtime(error: RuntimeStatus) -> Refused:
    """What the runtime reported."""
    return Refused(_CODES[error.code], str(error))
