"""What processes share to enforce limits together: in memory for one process, in Redis for many."""
