"""What texts say: how content the writer of a review is."""
