"""Models: churn and recommendations. Read published tables, write published tables; know no campaign."""
