"""The HTTP service behind the links of a mail: open, click, unsubscribe. Knows the ledger, never the warehouse."""
