"""How the ledger came to its present shape: one module per revision in `versions/`, run by `campaigns.migrate`."""
