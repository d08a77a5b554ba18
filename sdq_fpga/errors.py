"""The exceptions a user may see: one sentence each, with the cause and the way out."""

__all__ = ["SdqFpgaError", "StageError", "UserError"]


class SdqFpgaError(Exception):
    """Base of every error that this package raises on purpose.

    Args:
        what: what is wrong and where (layer, node, file), without a full stop.
        fix: what the user can do about it, without a full stop.

    Attributes:
        exit_code: what the command line exits with.
    """

    exit_code = 1

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}; {fix}.")
        self.what = what
        self.fix = fix

    def __reduce__(self) -> tuple[object, ...]:
        """Goes from one process to another, whatever a subclass is made of."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class UserError(SdqFpgaError):
    """Something that the user stated can't be: a name, a value, a file."""

    exit_code = 2


class StageError(SdqFpgaError):
    """A stage failed on valid input: a tool is missing, a disk is full, a check did not hold."""

    exit_code = 1
