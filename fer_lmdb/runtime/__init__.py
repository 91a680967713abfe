"""Device and dtype, seeding, signals, background threads and executors."""
