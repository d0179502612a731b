"""Import TensorFlow SavedModels and concrete functions, without TensorFlow."""
