"""HTTP: health, and the API."""
