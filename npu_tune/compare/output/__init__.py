"""What a comparison writes: tables, figures, the summary and the JSON document."""
