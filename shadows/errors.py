"""What an outsider can get wrong."""


class Rejected(Exception):  # noqa: N818 - the shadow service's own word
    """A request that is refused, in the shadow service's word and with its codes.

    Attributes:
        code: HTTP's and the shadow service's number: 400, 401, 403, 404, 409, 413, 415, 429, 500.
        message: one sentence for the sender: the field, what may stand there, what stood there. Never a secret.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message
