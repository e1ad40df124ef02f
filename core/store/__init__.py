"""Every query of the engine, one noun a file. Nothing here decides; it reads and writes rows."""
