"""Customer lifetime: who is still a customer, when the next order comes, what it is worth. Order counts in, intervals out."""
