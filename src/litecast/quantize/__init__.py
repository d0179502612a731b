"""Quantization: statistics of what tensors hold, a plan made from them and a recipe, and its application."""
