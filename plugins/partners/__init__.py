"""The brands that ship with the application: partners like any other, found by entry point.

Each imports the partner kit alone, as an outside brand does, and nothing imports it by name.
"""
