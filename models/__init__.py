"""Machine learning: serving, training and evaluation of classifiers. Knows nothing of filters, gateway or database."""
