"""The batching policy, pure."""
