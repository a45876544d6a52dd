"""The control plane: JSON API and pages."""
