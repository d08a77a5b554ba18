"""What an emulated board has on its Python path: ``pynq``, found there by that name."""
