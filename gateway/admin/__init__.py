"""The control plane: JSON API and pages."""

from gateway.admin.app import create_app

__all__ = ["create_app"]
