"""Fusing constants and activations into contractions."""

from __future__ import annotations

import pytest

from litecast.passes.fuse import FUSE
from tests.passes.harness import check, check_unchanged

CASES = {
    "a missing bias": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y = Conv2D(x, const f32[4,3,3,3] rand(1))
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [0.0, 0.0, 0.0, 0.0])
        }
        """,
        {"runs": False},
    ),
    "bias of conv": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
          y = Add(s, const f32[4] [1, 2, 3, 4])
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [1.0, 2.0, 3.0, 4.0])
        }
        """,
    ),
    "bias onto a bias": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4])
          y = Add(s, const f32[1,1,1,4] [1, -2, 3, -4])
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [2.0, 0.0, 6.0, 0.0])
        }
        """,
    ),
    "scalar bias first": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4])
          y = Add(const f32[] 0.5, s)
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [1.5, 2.5, 3.5, 4.5])
        }
        """,
    ),
    "sub": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4])
          y = Sub(s, const f32[4] [1, 2, 3, 5])
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [0.0, 0.0, 0.0, -1.0])
        }
        """,
    ),
    "constant minus conv": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4])
          y = Sub(const f32[4] [1, 2, 3, 5], s)
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [0.0, 0.0, 0.0, 1.0])
        }
        """,
    ),
    "batch norm as mul and add": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0)) {padding=VALID, stride_w=2,
            stride_h=2}
          m = Mul(s, const f32[4] [0.5, 2, -1, 0.25])
          a = Add(m, const f32[4] [0.1, 0.2, 0.3, 0.4])
          y = Relu6(a)
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,3,3,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [0.1, 0.2, 0.3, 0.4])
            {padding=VALID, stride_w=2, stride_h=2, fused_activation_function=RELU6}
        }
        """,
    ),
    "division": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4])
          y = Div(s, const f32[4] [3, 7, -2, 10])
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [0.33333334, 0.2857143, -1.5,
            0.4])
        }
        """,
    ),
    "depthwise with multiplier": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = DepthwiseConv2D(x, const f32[1,3,3,6] rand(1), const f32[6] splat(0.0)) {depth_multiplier=2}
          m = Mul(s, const f32[6] [1, 2, 3, 4, 5, 6])
          y = Add(m, const f32[6] [6, 5, 4, 3, 2, 1])
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,6] = DepthwiseConv2D(x, const f32[1,3,3,6] #c0, const f32[6] [6.0, 5.0, 4.0, 3.0,
            2.0, 1.0]) {depth_multiplier=2}
        }
        """,
    ),
    "transposed conv": (
        FUSE,
        """
        graph main(x: f32[2,8,8,3]) -> (y) {
          s = TransposeConv(const i32[4] [2,16,16,4], const f32[4,3,3,3] rand(1), x) {stride_w=2,
            stride_h=2}
          m = Mul(s, const f32[4] [1, 2, 3, 4])
          a = Add(m, const f32[1,1,4] [4, 3, 2, 1])
          y = Relu(a)
        }
        """,
        """
        graph main(x: f32[2,8,8,3]) -> (y) {
          y: f32[2,16,16,4] = TransposeConv(const i32[4] [2, 16, 16, 4], const f32[4,3,3,3] #c0, x, const
            f32[4] [4.0, 3.0, 2.0, 1.0]) {stride_w=2, stride_h=2, fused_activation_function=RELU}
        }
        """,
    ),
    "fully connected": (
        FUSE,
        """
        graph main(x: f32[n,3]) -> (y) {
          s = FullyConnected(x, const f32[4,3] rand(1))
          m = Mul(s, const f32[] 3)
          a = Add(m, const f32[1,4] [4, 3, 2, 1])
          y = ReluN1To1(a)
        }
        """,
        """
        graph main(x: f32[n,3]) -> (y) {
          y: f32[n,4] = FullyConnected(x, const f32[4,3] [1.0367526, 2.4648545, 0.9913112, -3.9094715,
            2.7160676, 1.3391237, -1.6108596, 1.7433543, 1.0937172, 0.88239753, 0.085266724, 1.640139],
            const f32[4] [4.0, 3.0, 2.0, 1.0]) {fused_activation_function=RELU_N1_TO_1}
        }
        """,
    ),
    "conv 3d": (
        FUSE,
        """
        graph main(x: f32[n,4,4,4,3]) -> (y) {
          s = Conv3D(x, const f32[2,2,2,3,4] rand(1))
          m = Mul(s, const f32[4] [1, 2, 3, 4])
          a = Add(m, const f32[4] [4, 3, 2, 1])
          y = Relu(a)
        }
        """,
        """
        graph main(x: f32[n,4,4,4,3]) -> (y) {
          y: f32[n,4,4,4,4] = Conv3D(x, const f32[2,2,2,3,4] #c0, const f32[4] [4.0, 3.0, 2.0, 1.0])
            {fused_activation_function=RELU}
        }
        """,
    ),
    "relu carried by the add": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4])
          y = Add(s, const f32[4] [1, 2, 3, 5]) {fused_activation_function=RELU}
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [2.0, 4.0, 6.0, 9.0])
            {fused_activation_function=RELU}
        }
        """,
    ),
    "through a reshape": (
        FUSE,
        """
        graph main(x: f32[n,1,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,1,3,3] rand(1), const f32[4] splat(0.0))
          r = Reshape(s, const i32[3] [-1, 8, 4])
          m = Mul(r, const f32[4] [1, 2, 3, 4])
          a = Add(m, const f32[4] [1, 2, 3, 5])
          y = Relu(a)
        }
        """,
        """
        graph main(x: f32[n,1,8,3]) -> (y) {
          %1: f32[n,1,8,4] = Conv2D(x, const f32[4,1,3,3] #c0, const f32[4] [1.0, 2.0, 3.0, 5.0])
            {fused_activation_function=RELU}
          y: f32[n,8,4] = Reshape(%1, const i32[3] [-1, 8, 4])
        }
        """,
    ),
    "through a squeeze": (
        FUSE,
        """
        graph main(x: f32[n,1,m,3]) -> (y) {
          s = Conv2D(x, const f32[4,1,3,3] rand(1), const f32[4] splat(0.0))
          r = Squeeze(s) {squeeze_dims=(1)}
          m = Mul(r, const f32[4] [1, 2, 3, 4])
          a = Add(m, const f32[4] [1, 2, 3, 5])
          y = Relu(a)
        }
        """,
        """
        graph main(x: f32[n,1,m,3]) -> (y) {
          %1: f32[n,1,m,4] = Conv2D(x, const f32[4,1,3,3] #c0, const f32[4] [1.0, 2.0, 3.0, 5.0])
            {fused_activation_function=RELU}
          y: f32[n,m,4] = Squeeze(%1) {squeeze_dims=(1)}
        }
        """,
    ),
    "bias of attention heads behind the reshape that splits them": (
        FUSE,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          s = FullyConnected(x, const f32[6,3] rand(1)) {keep_num_dims=true}
          r = Reshape(s, const i32[4] [-1, 5, 2, 3])
          m = Mul(r, const f32[2,1] [2, 1])
          y = Add(m, const f32[2,3] [1, 2, 3, 4, 5, 6])
        }
        """,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          %1: f32[n,5,6] = FullyConnected(x, const f32[6,3] #c0, const f32[6] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
            {keep_num_dims=true}
          y: f32[n,5,2,3] = Reshape(%1, const i32[4] [-1, 5, 2, 3])
        }
        """,
    ),
    "batch norm before a valid conv": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          m = Mul(x, const f32[3] [1, 2, 3])
          a = Add(m, const f32[3] [3, 2, 1])
          y = Conv2D(a, const f32[4,3,3,3] rand(1), const f32[4] [1,2,3,4]) {padding=VALID}
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,6,6,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [-9.844042, 5.7721233,
            0.7590138, 5.8284636]) {padding=VALID}
        }
        """,
    ),
    "scale before a padded conv": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          m = Mul(x, const f32[3] [1, 2, 3])
          y = Conv2D(m, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [0.0, 0.0, 0.0, 0.0])
        }
        """,
    ),
    "scale before a grouped conv": (
        FUSE,
        """
        graph main(x: f32[n,8,8,4]) -> (y) {
          m = Mul(x, const f32[4] [1, 2, 3, 4])
          a = Sub(m, const f32[4] [4, 3, 2, 1])
          y = Conv2D(a, const f32[6,3,3,2] rand(1), const f32[6] splat(0.0)) {padding=VALID}
        }
        """,
        """
        graph main(x: f32[n,8,8,4]) -> (y) {
          y: f32[n,6,6,6] = Conv2D(x, const f32[6,3,3,2] #c0, const f32[6] [-5.625105, -0.8613558,
            12.268544, 2.7352152, 2.4919307, 1.8083904]) {padding=VALID}
        }
        """,
    ),
    "batch norm before a depthwise conv": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          m = Mul(x, const f32[3] [1, 2, 3])
          a = Sub(m, const f32[3] [3, 2, 1])
          y = DepthwiseConv2D(a, const f32[1,3,3,6] rand(1), const f32[6] splat(0.0)) {depth_multiplier=2,
            padding=VALID}
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,6,6,6] = DepthwiseConv2D(x, const f32[1,3,3,6] #c0, const f32[6] [6.8860717, 11.16018,
            -0.11739661, -0.64213336, -2.6677966, -0.89678204]) {padding=VALID, depth_multiplier=2}
        }
        """,
    ),
    "batch norm before fully connected": (
        FUSE,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          m = Div(x, const f32[3] [1, 2, 3])
          a = Add(m, const f32[] 3)
          y = FullyConnected(a, const f32[4,3] rand(1)) {keep_num_dims=true}
        }
        """,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          y: f32[n,5,4] = FullyConnected(x, const f32[4,3] [0.34558418, 0.41080907, 0.11014569,
            -1.3031572, 0.45267794, 0.14879152, -0.5369532, 0.29055905, 0.12152413, 0.2941325,
            0.014211121, 0.18223767], const f32[4] [4.492918, 0.14571968, 1.2262119, 2.607803])
            {keep_num_dims=true}
        }
        """,
    ),
    "relu of add": (
        FUSE,
        """
        graph main(x: f32[n,4], w: f32[n,4]) -> (y) {
          s = Add(x, w)
          y = Relu(s)
        }
        """,
        """
        graph main(x: f32[n,4], w: f32[n,4]) -> (y) {
          y: f32[n,4] = Add(x, w) {fused_activation_function=RELU}
        }
        """,
    ),
    "relu of a maximum pool": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = MaxPool2D(x) {padding=VALID, filter_width=2, filter_height=2, stride_w=2, stride_h=2}
          y = Relu6(s)
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,4,4,3] = MaxPool2D(x) {padding=VALID, stride_w=2, stride_h=2, filter_width=2,
            filter_height=2, fused_activation_function=RELU6}
        }
        """,
    ),
    "relu6 of a conv with relu": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
            {fused_activation_function=RELU}
          y = Relu6(s)
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [0.0, 0.0, 0.0, 0.0])
            {fused_activation_function=RELU6}
        }
        """,
    ),
    "relu6 of relu": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Relu(x)
          y = Relu6(s)
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,3] = Relu6(x)
        }
        """,
    ),
    "bias of a sum": (
        FUSE,
        """
        graph main(x: f32[n,3], w: f32[n,2]) -> (y) {
          a = FullyConnected(x, const f32[4,3] rand(1))
          b = FullyConnected(w, const f32[4,2] rand(2))
          s = Add(a, b)
          y = Add(s, const f32[4] [1, 2, 3, 4])
        }
        """,
        """
        graph main(x: f32[n,3], w: f32[n,2]) -> (y) {
          b: f32[n,4] = FullyConnected(w, const f32[4,2] [0.18905339, -0.5227485, -0.41306356, -2.4414673,
            1.7997074, 1.1441659, -0.32542282, 0.7738066])
          %3: f32[n,4] = FullyConnected(x, const f32[4,3] [0.34558418, 0.82161814, 0.33043706, -1.3031572,
            0.9053559, 0.44637457, -0.5369532, 0.5811181, 0.3645724, 0.2941325, 0.028422242, 0.546713],
            const f32[4] [1.0, 2.0, 3.0, 4.0])
          y: f32[n,4] = Add(%3, b)
        }
        """,
    ),
    "negation": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4])
          y = Neg(s)
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [-1.0, -2.0, -3.0, -4.0])
        }
        """,
    ),
    "negation behind a reshape": (
        FUSE,
        """
        graph main(x: f32[n,1,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,1,3,3] rand(1), const f32[4] [1, 2, 3, 4])
          r = Reshape(s, const i32[3] [-1, 8, 4])
          y = Neg(r)
        }
        """,
        """
        graph main(x: f32[n,1,8,3]) -> (y) {
          %1: f32[n,1,8,4] = Conv2D(x, const f32[4,1,3,3] #c0, const f32[4] [-1.0, -2.0, -3.0, -4.0])
          y: f32[n,8,4] = Reshape(%1, const i32[3] [-1, 8, 4])
        }
        """,
    ),
    "transposed conv 3d": (
        FUSE,
        """
        graph main(x: f32[2,2,2,2,3]) -> (y) {
          s = Conv3DTranspose(const i32[5] [2,4,4,4,2], const f32[2,2,2,2,3] rand(1), x) {stride_d=2,
            stride_w=2, stride_h=2}
          m = Mul(s, const f32[2] [1, 2])
          a = Add(m, const f32[2] [4, 3])
          y = Relu(a)
        }
        """,
        """
        graph main(x: f32[2,2,2,2,3]) -> (y) {
          y: f32[2,4,4,4,2] = Conv3DTranspose(const i32[5] [2, 4, 4, 4, 2], const f32[2,2,2,2,3] #c0, x,
            const f32[2] [4.0, 3.0]) {stride_d=2, stride_w=2, stride_h=2, fused_activation_function=RELU}
        }
        """,
    ),
    "a scale before flattening dense": (
        FUSE,
        """
        graph main(x: f32[n,2,2,3]) -> (y) {
          m = Mul(x, const f32[] 0.5)
          a = Sub(m, const f32[] 1)
          y = FullyConnected(a, const f32[2,12] rand(1), const f32[2] [1, 2])
        }
        """,
        """
        graph main(x: f32[n,2,2,3]) -> (y) {
          y: f32[n,2] = FullyConnected(x, const f32[2,12] #c0, const f32[2] [-1.8242177, 2.041145])
        }
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rewrite(name):
    rules, before, after, *options = CASES[name]
    assert check(before, rules, after, **dict(*options))


UNCHANGED = {
    "used twice": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y, z) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
          y = Add(s, const f32[4] [1, 2, 3, 4])
          z = Relu(s)
        }
        """,
    ),
    "graph output in the middle": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y, s) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
          y = Add(s, const f32[4] [1, 2, 3, 4])
        }
        """,
    ),
    "wrong axis": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
          y = Mul(s, const f32[8,1] [1, 2, 3, 4, 5, 6, 7, 8])
        }
        """,
    ),
    "broadcasting channels": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[1,3,3,3] rand(1), const f32[1] splat(0.0))
          y = Add(s, const f32[4] [1, 2, 3, 4])
        }
        """,
    ),
    "broadcasting rank": (
        FUSE,
        """
        graph main(x: f32[n,3]) -> (y) {
          s = FullyConnected(x, const f32[4,3] rand(1))
          y = Add(s, const f32[1,1,4] [1, 2, 3, 4])
        }
        """,
    ),
    "not constant": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3], w: f32[4]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
          y = Mul(s, w)
        }
        """,
    ),
    "weights not constant": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3], w: f32[4,3,3,3]) -> (y) {
          s = Conv2D(x, w, const f32[4] splat(0.0))
          y = Mul(s, const f32[4] [1, 2, 3, 4])
        }
        """,
    ),
    "division by zero": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
          y = Div(s, const f32[4] [1, 0, 3, 4])
        }
        """,
    ),
    "an activation in between": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
            {fused_activation_function=RELU}
          y = Mul(s, const f32[4] [1, 2, 3, 4])
        }
        """,
    ),
    "offset before a padded conv": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          m = Add(x, const f32[3] [1, 2, 3])
          y = Conv2D(m, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
        }
        """,
    ),
    "tanh": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
          y = Tanh(s)
        }
        """,
    ),
    "relu n1 to 1 after relu": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
            {fused_activation_function=RELU}
          y = ReluN1To1(s)
        }
        """,
    ),
    "integers": (
        FUSE,
        """
        graph main(x: i32[n,4], w: i32[n,4]) -> (y) {
          s = Add(x, w)
          z = Cast(s) {in_data_type=INT32, out_data_type=FLOAT32}
          y = Relu(z)
        }
        """,
    ),
    "quantized": (
        FUSE,
        """
        graph main(x: i8[n,8,8,3] q(scales=(0.5), zero_points=(0))) -> (y) {
          s: i8[n,8,8,4] q(scales=(0.5), zero_points=(0)) = Conv2D(x, const i8[4,1,1,3] q(scales=(0.5),
            zero_points=(0)) rand(1))
          y: i8[n,8,8,4] q(scales=(0.25), zero_points=(-128)) = Relu(s)
        }
        """,
    ),
    "bias of a sum that broadcasts": (
        FUSE,
        """
        graph main(x: f32[n,3], w: f32[2,n,4]) -> (y) {
          a = FullyConnected(x, const f32[4,3] rand(1))
          s = Add(a, w)
          y = Add(s, const f32[4] [1, 2, 3, 4])
        }
        """,
    ),
    "negation of what is used": (
        FUSE,
        """
        graph main(x: f32[n,8,8,3]) -> (y, s) {
          s = Conv2D(x, const f32[4,3,3,3] rand(1), const f32[4] splat(0.0))
          y = Neg(s)
        }
        """,
    ),
    "a vector before flattening dense": (
        FUSE,
        """
        graph main(x: f32[n,2,2,3]) -> (y) {
          m = Mul(x, const f32[3] [1, 2, 3])
          y = FullyConnected(m, const f32[2,12] rand(1), const f32[2] [1, 2])
        }
        """,
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_rewrite(name):
    rules, text = UNCHANGED[name]
    check_unchanged(text, rules)
