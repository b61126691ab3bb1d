"""What every endpoint shares: rendering, errors, query parameters, paging, caching."""
