"""One pure adapter per model API."""
