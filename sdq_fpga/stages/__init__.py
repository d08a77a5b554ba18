"""The stages of a build, strung together in one run directory."""
