"""The exercises of the lessons: one reference, its known mistakes and its check per file. These hold the answers."""
