"""Training: options, recipe, trainer, targets, distillation, snapshots."""
