"""What an account wants done with its mail: a strict document, and one pure function that judges by it.

`loader.load` reads the YAML, `engine.compile_policy` makes it ready, `engine.decide` judges, `explain.explain` shows why.
"""
