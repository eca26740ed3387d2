"""The API: a router for each resource."""
