"""Simulated readers and a simulated shop, for the demo and the tests. Nothing in here is a real person or purchase."""
