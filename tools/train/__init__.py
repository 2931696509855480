"""Makes the classifier's weights from the project's own corpus and licence-clean rows, reproducibly."""
