"""The `.tflite` file and its runtime: reader, writer, and LiteRT behind one class; import the modules you need."""
