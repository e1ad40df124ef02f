"""The GraphQL face of the engine, one noun a file. Knows the engine; the engine doesn't know it."""
