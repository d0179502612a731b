"""One spelling for one thing."""

from __future__ import annotations

import pytest

from litecast.passes.canonicalize import CANONICALIZE
from tests.passes.harness import check, check_unchanged

CASES = {
    "reshape of a reshape": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Reshape(x, const i32[2] [-1, 12])
          y = Reshape(a, const i32[3] [-1, 3, 4])
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,3,4] = Reshape(x, const i32[3] [-1, 3, 4])
        }
        """,
    ),
    "reshape back": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Reshape(x, const i32[2] [-1, 12])
          b = Reshape(a, const i32[3] [-1, 2, 6])
          y = Neg(b)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "flatten with a computed shape": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          s = Shape(x)
          b = Gather(s, const i32[] 0)
          v = Pack(b, const i32[] 12) {values_count=2}
          y = Reshape(x, v)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,12] = Reshape(x, const i32[2] [-1, 12])
        }
        """,
    ),
    "flatten by strided slice": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          s = Shape(x)
          b = StridedSlice(s, const i32[1] [0], const i32[1] [1], const i32[1] [1]) {shrink_axis_mask=1}
          v = Pack(b, const i32[] 3, const i32[] 4) {values_count=3}
          y = Reshape(x, v)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,3,4] = Reshape(x, const i32[3] [-1, 3, 4])
        }
        """,
    ),
    "squeeze and expand dims": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          e = ExpandDims(x, const i32[] 1)
          a = Neg(e)
          y = Squeeze(a) {squeeze_dims=(1)}
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "pack of one": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y = Pack(x) {values_count=1, axis=1}
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,1,2,6] = Reshape(x, const i32[4] [-1, 1, 2, 6])
        }
        """,
    ),
    "global pool and flatten": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          m = Mean(x, const i32[1] [1]) {keep_dims=true}
          y = Reshape(m, const i32[2] [-1, 6])
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,6] = Mean(x, const i32[1] [1])
        }
        """,
    ),
    "global pool, dimensions kept by reshape": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          m = Sum(x, const i32[1] [1])
          y = Reshape(m, const i32[3] [-1, 1, 6])
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,1,6] = Sum(x, const i32[1] [1]) {keep_dims=true}
        }
        """,
    ),
    "mean of mean": (
        CANONICALIZE,
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          m = Mean(x, const i32[1] [2])
          y = Mean(m, const i32[1] [1])
        }
        """,
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          y: f32[n,3] = Mean(x, const i32[2] [1, 2])
        }
        """,
    ),
    "mean of mean with dimensions kept": (
        CANONICALIZE,
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          m = Mean(x, const i32[1] [2]) {keep_dims=true}
          y = Mean(m, const i32[] 1) {keep_dims=true}
        }
        """,
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          y: f32[n,1,1,3] = Mean(x, const i32[2] [1, 2]) {keep_dims=true}
        }
        """,
    ),
    "transpose of a transpose": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Transpose(x, const i32[3] [1, 2, 0])
          y = Transpose(a, const i32[3] [1, 0, 2])
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[6,2,n] = Transpose(x, const i32[3] [2, 1, 0])
        }
        """,
    ),
    "transpose back": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Transpose(x, const i32[3] [1, 2, 0])
          b = Transpose(a, const i32[3] [2, 0, 1])
          y = Neg(b)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "transpose of a size 1 dimension": (
        CANONICALIZE,
        """
        graph main(x: f32[n,1,6]) -> (y) {
          y = Transpose(x, const i32[3] [1, 0, 2])
        }
        """,
        """
        graph main(x: f32[n,1,6]) -> (y) {
          y: f32[1,n,6] = Reshape(x, const i32[3] [1, -1, 6])
        }
        """,
    ),
    "identity transpose": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Transpose(x, const i32[3] [0, 1, 2])
          y = Neg(a)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "identity reshape": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Reshape(x, const i32[3] [-1, 2, 6])
          y = Neg(a)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "identity cast": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Cast(x) {in_data_type=FLOAT32, out_data_type=FLOAT32}
          y = Neg(a)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "identity slice": (
        CANONICALIZE,
        """
        graph main(x: f32[3,2,6]) -> (y) {
          a = Slice(x, const i32[3] [0, 0, 0], const i32[3] [3, 2, 6])
          y = Neg(a)
        }
        """,
        """
        graph main(x: f32[3,2,6]) -> (y) {
          y: f32[3,2,6] = Neg(x)
        }
        """,
    ),
    "identity strided slice": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = StridedSlice(x, const i32[3] [0, 0, 0], const i32[3] [0, 0, 6], const i32[3] [1, 1, 1])
            {begin_mask=7, end_mask=3}
          y = Neg(a)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "identity pad": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Pad(x, const i32[3,2] [0, 0, 0, 0, 0, 0])
          y = Neg(a)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "identity tile": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Tile(x, const i32[3] [1, 1, 1])
          y = Neg(a)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "concatenation of one": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Concatenation(x) {axis=1}
          y = Neg(a)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "sum of no axes": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Sum(x, const i32[0] [])
          y = Neg(a)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "split in one": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Split(const i32[] 1, x) {num_splits=1}
          y = Neg(a)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "add zero, multiply by one": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Add(const f32[] -0.0, x)
          b = Mul(a, const f32[1] [1])
          c = Sub(b, const f32[] 0)
          d = Div(c, const f32[] 1)
          y = Neg(d)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "through float64 and back": (
        CANONICALIZE,
        """
        graph main(x: f32[n,6], k: i32[n,6]) -> (y, z) {
          a = Cast(x) {in_data_type=FLOAT32, out_data_type=FLOAT64}
          b = Cast(a) {in_data_type=FLOAT64, out_data_type=FLOAT32}
          y = Neg(b)
          c = Cast(k) {in_data_type=INT32, out_data_type=FLOAT64}
          z = Cast(c) {in_data_type=FLOAT64, out_data_type=FLOAT32}
        }
        """,
        """
        graph main(x: f32[n,6], k: i32[n,6]) -> (y, z) {
          y: f32[n,6] = Neg(x)
          z: f32[n,6] = Cast(k) {in_data_type=INT32, out_data_type=FLOAT32}
        }
        """,
    ),
    "double negation": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Neg(x)
          b = Neg(a)
          y = Abs(b)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Abs(x)
        }
        """,
    ),
    "double not": (
        CANONICALIZE,
        """
        graph main(x: bool[n,3], w: bool[n,3]) -> (y) {
          a = LogicalNot(x)
          b = LogicalNot(a)
          y = LogicalAnd(b, w)
        }
        """,
        """
        graph main(x: bool[n,3], w: bool[n,3]) -> (y) {
          y: bool[n,3] = LogicalAnd(x, w)
        }
        """,
    ),
    "output keeps its name": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Abs(x)
          y = Transpose(a, const i32[3] [0, 1, 2])
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Abs(x)
        }
        """,
    ),
    "quantized reshape": (
        CANONICALIZE,
        """
        graph main(x: i8[n,2,6] q(scales=(0.5), zero_points=(3))) -> (y) {
          a: i8[n,12] q(scales=(0.5), zero_points=(3)) = Reshape(x, const i32[2] [-1, 12])
          y: i8[n,3,4] q(scales=(0.5), zero_points=(3)) = Reshape(a, const i32[3] [-1, 3, 4])
        }
        """,
        """
        graph main(x: i8[n,2,6] q(scales=(0.5), zero_points=(3))) -> (y) {
          y: i8[n,3,4] q(scales=(0.5), zero_points=(3)) = Reshape(x, const i32[3] [-1, 3, 4])
        }
        """,
    ),
    "there and back": (
        CANONICALIZE,
        """
        graph main(x: f32[n,1,m,6]) -> (y) {
          a = Squeeze(x) {squeeze_dims=(1)}
          b = ExpandDims(a, const i32[] 1)
          y = Neg(b)
        }
        """,
        """
        graph main(x: f32[n,1,m,6]) -> (y) {
          y: f32[n,1,m,6] = Neg(x)
        }
        """,
    ),
    "there and back around a unary operation": (
        CANONICALIZE,
        """
        graph main(x: f32[n,1,m,6]) -> (y) {
          a = Squeeze(x) {squeeze_dims=(1)}
          b = Tanh(a)
          y = ExpandDims(b, const i32[] 1)
        }
        """,
        """
        graph main(x: f32[n,1,m,6]) -> (y) {
          y: f32[n,1,m,6] = Tanh(x)
        }
        """,
    ),
    "there and back around two constants": (
        CANONICALIZE,
        """
        graph main(x: f32[n,1,m,3]) -> (y) {
          a = Squeeze(x) {squeeze_dims=(1)}
          b = Mul(const f32[] 2.5, a)
          c = Add(b, const f32[3] [1, 2, 3])
          y = ExpandDims(c, const i32[] 1)
        }
        """,
        """
        graph main(x: f32[n,1,m,3]) -> (y) {
          %1: f32[n,1,m,3] = Mul(x, const f32[] 2.5)
          y: f32[n,1,m,3] = Add(%1, const f32[3] [1.0, 2.0, 3.0])
        }
        """,
    ),
    "there and back around a constant": (
        CANONICALIZE,
        """
        graph main(x: f32[n,1,m,3]) -> (y) {
          a = Squeeze(x) {squeeze_dims=(1)}
          b = Sub(a, const f32[1,3] [1, 2, 3])
          y = ExpandDims(b, const i32[] 1)
        }
        """,
        """
        graph main(x: f32[n,1,m,3]) -> (y) {
          y: f32[n,1,m,3] = Sub(x, const f32[3] [1.0, 2.0, 3.0])
        }
        """,
    ),
    "reshapes around a unary operation": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Reshape(x, const i32[2] [-1, 12])
          b = Tanh(a)
          y = Reshape(b, const i32[3] [-1, 3, 4])
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          %1: f32[n,2,6] = Tanh(x)
          y: f32[n,3,4] = Reshape(%1, const i32[3] [-1, 3, 4])
        }
        """,
    ),
    "pad before a lifting reshape": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          p = Pad(x, const i32[3,2] [0, 0, 1, 2, 3, 4])
          y = Reshape(p, const i32[4] [-1, 5, 1, 13])
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          %1: f32[n,2,1,6] = Reshape(x, const i32[4] [-1, 2, 1, 6])
          y: f32[n,5,1,13] = Pad(%1, const i32[4,2] [0, 0, 1, 2, 0, 0, 3, 4])
        }
        """,
    ),
    "pad before a lowering reshape": (
        CANONICALIZE,
        """
        graph main(x: f32[n,1,2,6]) -> (y) {
          p = Pad(x, const i32[4,2] [0, 0, 0, 0, 1, 2, 0, 0])
          y = Reshape(p, const i32[3] [-1, 5, 6])
        }
        """,
        """
        graph main(x: f32[n,1,2,6]) -> (y) {
          %1: f32[n,2,6] = Reshape(x, const i32[3] [-1, 2, 6])
          y: f32[n,5,6] = Pad(%1, const i32[3,2] [0, 0, 1, 2, 0, 0])
        }
        """,
    ),
    "gather of the only slice": (
        CANONICALIZE,
        """
        graph main(x: f32[n,1,6]) -> (y) {
          a = Gather(x, const i32[] 0) {axis=1}
          y = Neg(a)
        }
        """,
        """
        graph main(x: f32[n,1,6]) -> (y) {
          a: f32[n,6] = Reshape(x, const i32[2] [-1, 6])
          y: f32[n,6] = Neg(a)
        }
        """,
    ),
    "all zeros and all ones": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Sub(x, const f32[2,6] splat(0))
          b = Mul(const f32[6] splat(1), a)
          y = Neg(b)
        }
        """,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y: f32[n,2,6] = Neg(x)
        }
        """,
    ),
    "parts of a real number": (
        CANONICALIZE,
        """
        graph main(x: f32[2,3]) -> (y) {
          c = Cast(x) {in_data_type=FLOAT32, out_data_type=COMPLEX64}
          a = Real(c)
          b = Imag(c)
          y = Sub(a, b)
        }
        """,
        """
        graph main(x: f32[2,3]) -> (x) {
        }
        """,
    ),
    "zeros": (
        CANONICALIZE,
        """
        graph main(x: f32[2,3]) -> (y) {
          z = ZerosLike(x)
          y = Maximum(x, z)
        }
        """,
        """
        graph main(x: f32[2,3]) -> (y) {
          z = const f32[2,3] splat(0.0)
          y: f32[2,3] = Maximum(x, z)
        }
        """,
    ),
    "a padded dimension of size 1": (
        CANONICALIZE,
        """
        graph main(x: f32[n,1,1]) -> (y) {
          p = Pad(x, const i32[3,2] [0, 0, 0, 0, 1, 0])
          y = Reshape(p, const i32[2] [-1, 2])
        }
        """,
        """
        graph main(x: f32[n,1,1]) -> (y) {
          %1: f32[n,1] = Reshape(x, const i32[2] [-1, 1])
          y: f32[n,2] = Pad(%1, const i32[2,2] [0, 0, 1, 0])
        }
        """,
    ),
    "plus a negative": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6], w: f32[2,6]) -> (y) {
          a = Neg(w)
          y = Add(a, x) {fused_activation_function=RELU}
        }
        """,
        """
        graph main(x: f32[n,2,6], w: f32[2,6]) -> (y) {
          y: f32[n,2,6] = Sub(x, w) {fused_activation_function=RELU}
        }
        """,
    ),
    "minus a negative": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6], w: f32[2,6]) -> (y) {
          a = Neg(w)
          y = Sub(x, a)
        }
        """,
        """
        graph main(x: f32[n,2,6], w: f32[2,6]) -> (y) {
          y: f32[n,2,6] = Add(x, w)
        }
        """,
    ),
    "plus a negative product": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6], w: f32[2,6]) -> (y) {
          a = Neg(w)
          b = Mul(x, a)
          y = Add(b, w)
        }
        """,
        """
        graph main(x: f32[n,2,6], w: f32[2,6]) -> (y) {
          %2: f32[n,2,6] = Mul(w, x)
          y: f32[n,2,6] = Sub(w, %2)
        }
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rewrite(name):
    rules, before, after, *options = CASES[name]
    assert check(before, rules, after, **dict(*options))


UNCHANGED = {
    "there and back around a constant along another axis": (
        CANONICALIZE,
        """
        graph main(x: f32[n,1,5,3]) -> (y) {
          a = Reshape(x, const i32[3] [-1, 5, 3])
          b = Sub(a, const f32[5,1] [1, 2, 3, 4, 5])
          y = Reshape(b, const i32[4] [-1, 1, 5, 3])
        }
        """,
    ),
    "there and elsewhere": (
        CANONICALIZE,
        """
        graph main(x: f32[n,1,m,6]) -> (y) {
          a = Squeeze(x) {squeeze_dims=(1)}
          b = Tanh(a)
          y = ExpandDims(b, const i32[] 2)
        }
        """,
    ),
    "two unknown dimensions": (
        CANONICALIZE,
        """
        graph main(x: f32[n,m,6]) -> (y) {
          s = Shape(x)
          b = Gather(s, const i32[] 0)
          c = Gather(s, const i32[] 1)
          v = Pack(b, c, const i32[] 2, const i32[] 3) {values_count=4}
          y = Reshape(x, v)
        }
        """,
    ),
    "a transpose that moves data": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y = Transpose(x, const i32[3] [0, 2, 1])
        }
        """,
    ),
    "a slice": (
        CANONICALIZE,
        """
        graph main(x: f32[3,2,6]) -> (y) {
          y = Slice(x, const i32[3] [0, 0, 0], const i32[3] [2, 2, 6])
        }
        """,
    ),
    "a strided slice that reverses": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, 0, 0], const i32[3] [0, 0, 6], const i32[3] [1, -1, 1])
            {begin_mask=7, end_mask=7}
        }
        """,
    ),
    "zero that broadcasts": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y = Add(x, const f32[1,1,1,1] [0])
        }
        """,
    ),
    "zero that turns -0 into 0": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y = Add(x, const f32[] 0)
        }
        """,
    ),
    "zero with an activation": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y = Add(x, const f32[] 0) {fused_activation_function=RELU}
        }
        """,
    ),
    "zero minus x": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y = Sub(const f32[] 0, x)
        }
        """,
    ),
    "one over x": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y = Div(const f32[] 1, x)
        }
        """,
    ),
    "mean that is used": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y, m) {
          m = Mean(x, const i32[1] [1]) {keep_dims=true}
          y = Reshape(m, const i32[2] [-1, 6])
        }
        """,
    ),
    "a reshape behind a mean that does more": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          m = Mean(x, const i32[1] [1]) {keep_dims=true}
          y = Reshape(m, const i32[3] [-1, 2, 3])
        }
        """,
    ),
    "a cast": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y = Cast(x) {in_data_type=FLOAT32, out_data_type=INT32}
        }
        """,
    ),
    "softmax between reshapes": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          a = Reshape(x, const i32[2] [-1, 12])
          b = Softmax(a)
          y = Reshape(b, const i32[3] [-1, 3, 4])
        }
        """,
    ),
    "a reshape behind a pad that does more": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          p = Pad(x, const i32[3,2] [0, 0, 1, 1, 0, 0])
          y = Reshape(p, const i32[3] [-1, 6, 4])
        }
        """,
    ),
    "gather of one slice of many": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y = Gather(x, const i32[] 0) {axis=1}
        }
        """,
    ),
    "parts of a complex number": (
        CANONICALIZE,
        """
        graph main(x: c64[n,3]) -> (y) {
          y = Real(x)
        }
        """,
    ),
    "zeros of an unknown shape": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y = ZerosLike(x)
        }
        """,
    ),
    "not all zeros": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6]) -> (y) {
          y = Add(x, const f32[6] [0, 0, 0, 0, 0, 1])
        }
        """,
    ),
    "a negative minus": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6], w: f32[2,6]) -> (y) {
          a = Neg(w)
          y = Sub(a, x)
        }
        """,
    ),
    "a negative product with an activation": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2,6], w: f32[2,6]) -> (y) {
          a = Neg(w)
          b = Mul(x, a) {fused_activation_function=RELU}
          y = Add(b, w)
        }
        """,
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_rewrite(name):
    rules, text = UNCHANGED[name]
    check_unchanged(text, rules)
