"""The append-only log: records, their chain and sealing, the database, the store, the head's anchor."""
