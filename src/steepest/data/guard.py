"""The border to foreign readers: whatever they raise leaves as one DataError sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from steepest.core.errors import DataError, SteepestError


@contextmanager
def reading(path: str, form: str, advice: str = "check the file, or export it again") -> Iterator:
    """Turn any failure inside the block into `PATH cannot be read as FORM: reason; advice.`

    The readers of formats are other people's code and meet hostile bytes here, so the net is wide:
    polars' panics do not even derive from Exception. Our own errors pass.
    """
    try:
        yield
    except SteepestError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path.") from None
    except PermissionError:
        raise DataError(f"{path} may not be read; change its permissions.") from None
    except MemoryError:
        raise DataError(f"{path} does not fit into memory; give fewer rows or columns.") from None
    except Exception as error:
        raise DataError(f"{path} cannot be read as {form}: {reason(error)}; {advice}.") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise DataError(f"{path} cannot be read as {form}: {reason(error)}; {advice}.") from None


def reason(error: BaseException) -> str:
    """The first line of a foreign message, short and without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".:; ")[:200]
