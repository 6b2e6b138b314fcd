"""The AWS place: what the Lambda functions are given, and what a handler leaves to be done when it has answered."""
