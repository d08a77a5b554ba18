"""Logic synthesis of a verified design."""
