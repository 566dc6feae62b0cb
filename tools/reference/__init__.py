"""Reference pages that are generated from the code: ``make docs`` writes them, and a test checks that they are up to
date.
"""
