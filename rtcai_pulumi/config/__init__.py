"""The create body as pydantic models: fields, ranges, defaults, rules, canonical form and wire format.

Every other layer uses this package; it imports none of them.
"""
