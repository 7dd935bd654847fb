"""The store on a PostgreSQL server: the same tables in two schemas of one database."""
