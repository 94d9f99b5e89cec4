"""What makes a model say something: loading, decoding, servers, and answers kept on disk."""
