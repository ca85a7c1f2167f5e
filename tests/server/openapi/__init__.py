"""Clients that know the server by its OpenAPI description only."""
