"""The applications, a module each. What the runner (rounds.py, record.py) asks of a module:

TABLES         table -> the column that its rows are sorted by; a table that others refer to comes first
OWN            table -> columns whose values the client or the database draws (keys of its own)
BLANK          what the client writes for a key that Chroma does not keep
CALLS          arguments of migrate_chroma, one text a call, for tables that the client has made
MAKES          (arguments, tables that the call makes): where there are none
FAILED         how many records of the store a complete round cannot migrate, and a text that says which
STORE          name of the store's archive
PACKAGES       whose versions are recorded

It may have: PARENTS (tables with a row for each collection), JOINS (what, a query for a count, the count), SETUP (SQL before
tables are made of their recorded definitions), STORE_OF and ANSWERS (another application's store, and which of what was
answered from it), VERSIONS (of what is no installed package).

write_store(path)               the application's client writes a store
ask_store(path)                 what the client answers from it
make_tables(db)                 the application's PostgreSQL client makes its tables
write_tables(db, store)         ... and writes the same data; write_store may have left some beside the store
check(db, said, tally)          the client opens the tables; they have to answer as the store did
change(db, said, tally)         it adds, replaces and deletes
"""
