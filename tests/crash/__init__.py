"""The crash rig: a real application under load, killed and cut off again and again; nothing lost?

`make test-crash` runs it. The files beside it named `test_*` test its own eyes in the usual suite.
"""
