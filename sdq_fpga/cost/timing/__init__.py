"""When each beat of each stream moves: interval, latency and FIFO depths without simulation."""
