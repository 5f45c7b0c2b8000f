"""Pages people look at: the local inbox, why a mail was sent, sends, the report. Reads; writes nothing."""
