"""The errors of the board's side."""

from __future__ import annotations

__all__ = ["Refused"]


class Refused(Exception):  # noqa: N818  # an answer, which the host turns into its own errors
    """The board won't, or can't, do what it was asked.

    Args:
        what: what is wrong, without a full stop.
        fix: what the user can do about it, without a full stop.
        code: "wrong" (what was asked can't be), "damaged" (send it again), "held" (somebody else
            is using the accelerator), "full" (the disk), or "failed".
    """

    def __init__(self, what: str, fix: str, code: str = "failed") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.code = code
