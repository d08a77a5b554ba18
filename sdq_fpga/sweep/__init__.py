"""Many searches and builds, as one table: what a sweep is, and what runs it on Dask."""
