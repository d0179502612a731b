"""The TensorFlow importers, a module per family; importing this package fills the table `tf`."""
