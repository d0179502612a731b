"""The intermediate representation: ordered graphs of TFLite operations over typed values."""
