"""The `.tflite` file and its runtime: reader, writer, and LiteRT; import the modules you need."""
