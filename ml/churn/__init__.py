"""Churn: will a customer place no order in the horizon from a day? Features in, probability out."""
