"""The pages that are made from the code. `make docs` writes them, and a test checks that they are up to date."""
