"""Recommendations: which products a customer will buy, and which they have never had but would."""
