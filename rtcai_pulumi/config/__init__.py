"""The create body as pydantic models: fields, ranges, defaults, rules, canonical form and wire form.

Used by every other layer, and imports none of them.
"""
