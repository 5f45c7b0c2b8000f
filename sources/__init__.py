"""Ways in: each source writes landing files that keep the contract; `landing` loads them into the warehouse."""
