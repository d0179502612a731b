"""Quantization: a recipe and a model give a plan, and applying the plan gives a new model.

(The package is not called `quantize`: importing it would hide the function of that name.)
"""
