"""Gates: what must hold of a table before anybody reads it. One module per gated table, as code."""
