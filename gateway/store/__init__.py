"""Everything that is kept: violations, terms, policies, keys. Knows no web framework."""
