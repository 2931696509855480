"""What makes and judges the data that ships: training, evaluation, compiled rules. Not part of the package."""
