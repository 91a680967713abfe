"""From a NetParameter to a torch.nn.Module."""
