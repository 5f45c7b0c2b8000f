"""One way to recommend a module, each with its source. All pass the kit of properties in `tests/ml/test_recommend.py`."""
