"""The database's history, applied in order by `laurels migrate`. Reviewed by hand, never edited."""
