"""Schema migrations, part of the installed package."""
