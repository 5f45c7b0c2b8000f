"""What things cost, as ratios against a peer in the same run; `make bench-…` runs them, RESULTS.md keeps them."""
