"""What one does with latent codes."""
