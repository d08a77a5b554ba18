"""The hardware model: layer shapes, bits and folding to cycles and resources."""
