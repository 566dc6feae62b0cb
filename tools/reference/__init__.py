"""Reference pages that are made from the code: ``make docs`` writes them, a test holds them fresh."""
