"""TensorFlow, Keras and JAX models to TensorFlow Lite, without TensorFlow."""

__version__ = "0.1.0"
