"""The plugin host, and in `partners/` the brands that ship with the application.

Importing this package collects nothing and registers nothing: `plugins.host.collect` does, when the
composition root asks for it. It must not know the GraphQL face, the engine's books or the database.
"""
