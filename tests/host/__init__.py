"""The process that has the engines, asked record by record."""
