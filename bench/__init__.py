"""Measurements that anyone can repeat. They drive the application as its own commands do."""
