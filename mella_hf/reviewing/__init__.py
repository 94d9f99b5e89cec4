"""Human review of translations: the page, the decisions, agreement, and blind comparisons."""
