"""Define the errors of upstreams."""

from fluxtracker.formatting import printable


class UpstreamError(Exception):
    """An upstream failed to answer a request. `source` is its host, `where` the path without its query.

    All three are printable for any upstream text, as errors are stored in the database. `code` is for programs.
    """

    code = "failed"

    def __init__(self, source: str, where: str, detail: str, *, code: str = "") -> None:
        source, where, detail = printable(source), printable(where), printable(detail)
        super().__init__(f"{source} {where}: {detail}")
        self.source = source
        self.where = where
        self.detail = detail
        self.code = code or self.code


class Unavailable(UpstreamError):
    """No usable answer for now: timeout, refused, 5xx, 429, circuit open. Trying again later helps."""

    code = "unavailable"


class BadAnswer(UpstreamError):
    """The answer is wrong: HTML, malformed or truncated JSON, an error inside a 200, a wrong shape."""

    code = "bad_answer"


class NotFound(UpstreamError):
    """A well-formed answer that the requested object does not exist."""

    code = "not_found"
