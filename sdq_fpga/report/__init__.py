"""What a build has come to: one object, printed as a table and stored as report.json."""
