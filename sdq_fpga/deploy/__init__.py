"""From a verified design to the board."""
