"""Which classifier the settings name."""

from __future__ import annotations

from gateway.settings import Settings
from models.types import Classifier


def load_classifier(settings: Settings) -> Classifier | None:
    """The classifier that the settings name: the promoted or shipped one, that of a folder, or none.

    Raises:
        ClassifierError: its files are missing or damaged.
    """
    if settings.classifier == "none":
        return None
    from models.registry import Registry

    if settings.classifier == "shipped":
        return Registry(settings.data_dir).load()
    from models import load_classifier as load

    return load(settings.classifier)
