"""What a person reads after a training or an evaluation: figures, tables, pictures."""
