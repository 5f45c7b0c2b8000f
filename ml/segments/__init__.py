"""Segments: groups of customers who are alike, by k-means on what is known of them. Features in, one segment out."""
