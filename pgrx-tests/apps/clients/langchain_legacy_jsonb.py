"""As langchain_legacy, with metadata in a jsonb column; it is LibreChat's table, too."""

from clients.langchain_legacy import ANSWERS, BLANK, CALLS, FAILED, JOINS, OWN, PACKAGES, PARENTS, STORE, STORE_OF, TABLES  # noqa: F401
from clients.langchain_legacy import Legacy

MAKES = []

legacy = Legacy(jsonb=True)
make_tables, write_tables, check, change = legacy.make_tables, legacy.write_tables, legacy.check, legacy.change
