"""How one plugin is looked at: what the engine's host does at start, and a brand's own tests do."""
