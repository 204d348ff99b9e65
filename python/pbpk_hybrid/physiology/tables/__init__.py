"""The shipped tables, their corrections, and tissue composition."""
