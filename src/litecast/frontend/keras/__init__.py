"""The Keras frontend: models read from their config and weights, without Keras and without TensorFlow."""
