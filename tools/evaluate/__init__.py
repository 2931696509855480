"""Figures of the detectors on data that is not part of the project."""
