"""SQLAlchemy for the modules of the history, or the name of the extra that installs it.

They import it from here, so that a missing package is reported in one place. Raises `MissingPackageError`.
"""

from __future__ import annotations

from harness.errors import MissingPackageError

try:
    import sqlalchemy as sa
    from sqlalchemy import exc
    from sqlalchemy.dialects import postgresql, sqlite
except ModuleNotFoundError as error:
    raise MissingPackageError(package="sqlalchemy", extra="history", purpose="the history of nights") from error

__all__ = ["exc", "postgresql", "sa", "sqlite"]
