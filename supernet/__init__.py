"""Floor 2: search space, elastic supernet, teachers, distillation and subnet extraction."""
