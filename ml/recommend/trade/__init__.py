"""Rules of trade: what may be recommended to whom, as a file says it."""
