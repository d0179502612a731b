"""Padding and space-to-batch around convolutions."""

from __future__ import annotations

import pytest

from litecast.passes.canonicalize import CANONICALIZE
from litecast.passes.fuse import FUSE
from litecast.passes.window import WINDOW
from tests.passes.harness import check, check_unchanged

CASES = {
    "stride 1": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          p = Pad(x, const i32[4,2] [0, 0, 1, 1, 1, 1, 0, 0])
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [1.0, 2.0, 3.0, 4.0])
        }
        """,
    ),
    "stride 1 at any size": (
        WINDOW,
        """
        graph main(x: f32[n,m,m,3]) -> (y) {
          p = Pad(x, const i32[4,2] [0, 0, 1, 1, 1, 1, 0, 0])
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
        }
        """,
        """
        graph main(x: f32[n,m,m,3]) -> (y) {
          y: f32[n,((m+2)-2),((m+2)-2),4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [1.0, 2.0, 3.0,
            4.0])
        }
        """,
    ),
    "stride 2 on an even size": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          p = Pad(x, const i32[4,2] [0, 0, 0, 1, 0, 1, 0, 0])
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID, stride_w=2,
            stride_h=2}
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,4,4,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [1.0, 2.0, 3.0, 4.0])
            {stride_w=2, stride_h=2}
        }
        """,
    ),
    "stride 2 on an odd size": (
        WINDOW,
        """
        graph main(x: f32[n,7,9,3]) -> (y) {
          p = Pad(x, const i32[4,2] [0, 0, 1, 1, 1, 1, 0, 0])
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID, stride_w=2,
            stride_h=2}
        }
        """,
        """
        graph main(x: f32[n,7,9,3]) -> (y) {
          y: f32[n,4,5,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [1.0, 2.0, 3.0, 4.0])
            {stride_w=2, stride_h=2}
        }
        """,
    ),
    "more than is used": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          p = Pad(x, const i32[4,2] [0, 0, 0, 2, 0, 2, 0, 0])
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID, stride_w=2,
            stride_h=2}
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,4,4,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [1.0, 2.0, 3.0, 4.0])
            {stride_w=2, stride_h=2}
        }
        """,
    ),
    "dilated": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          p = Pad(x, const i32[4,2] [0, 0, 2, 2, 2, 2, 0, 0])
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID,
            dilation_w_factor=2, dilation_h_factor=2}
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [1.0, 2.0, 3.0, 4.0])
            {dilation_w_factor=2, dilation_h_factor=2}
        }
        """,
    ),
    "depthwise with pad value 0": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          p = PadV2(x, const i32[4,2] [0, 0, 0, 1, 0, 1, 0, 0], const f32[] 0)
          y = DepthwiseConv2D(p, const f32[1,3,3,3] rand(1), const f32[3] [1, 2, 3]) {depth_multiplier=1,
            padding=VALID, stride_w=2, stride_h=2}
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,4,4,3] = DepthwiseConv2D(x, const f32[1,3,3,3] #c0, const f32[3] [1.0, 2.0, 3.0])
            {stride_w=2, stride_h=2, depth_multiplier=1}
        }
        """,
    ),
    "space to batch, same": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = SpaceToBatchND(x, const i32[2] [2, 2], const i32[2,2] [2, 2, 2, 2])
          c = Conv2D(s, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
          y = BatchToSpaceND(c, const i32[2] [2, 2], const i32[2,2] [0, 0, 0, 0])
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [1.0, 2.0, 3.0, 4.0])
            {dilation_w_factor=2, dilation_h_factor=2}
        }
        """,
    ),
    "space to batch, same, odd size": (
        WINDOW,
        """
        graph main(x: f32[n,7,7,3]) -> (y) {
          s = SpaceToBatchND(x, const i32[2] [2, 2], const i32[2,2] [2, 3, 2, 3])
          c = Conv2D(s, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
          y = BatchToSpaceND(c, const i32[2] [2, 2], const i32[2,2] [0, 1, 0, 1])
        }
        """,
        """
        graph main(x: f32[n,7,7,3]) -> (y) {
          y: f32[n,7,7,4] = Conv2D(x, const f32[4,3,3,3] #c0, const f32[4] [1.0, 2.0, 3.0, 4.0])
            {dilation_w_factor=2, dilation_h_factor=2}
        }
        """,
    ),
    "space to batch, valid": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = SpaceToBatchND(x, const i32[2] [3, 3], const i32[2,2] [0, 1, 0, 1])
          c = Conv2D(s, const f32[4,2,2,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
          y = BatchToSpaceND(c, const i32[2] [3, 3], const i32[2,2] [0, 1, 0, 1])
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,5,5,4] = Conv2D(x, const f32[4,2,2,3] #c0, const f32[4] [1.0, 2.0, 3.0, 4.0])
            {padding=VALID, dilation_w_factor=3, dilation_h_factor=3}
        }
        """,
    ),
    "space to batch, other padding": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = SpaceToBatchND(x, const i32[2] [2, 2], const i32[2,2] [4, 0, 4, 0])
          c = Conv2D(s, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
          y = BatchToSpaceND(c, const i32[2] [2, 2], const i32[2,2] [0, 0, 0, 0])
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          %1: f32[n,12,12,3] = Pad(x, const i32[4,2] [0, 0, 4, 0, 4, 0, 0, 0])
          y: f32[n,8,8,4] = Conv2D(%1, const f32[4,3,3,3] #c0, const f32[4] [1.0, 2.0, 3.0, 4.0])
            {padding=VALID, dilation_w_factor=2, dilation_h_factor=2}
        }
        """,
    ),
    "space to batch, depthwise, bias and relu behind": (
        (*FUSE, *WINDOW),
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = SpaceToBatchND(x, const i32[2] [2, 2], const i32[2,2] [2, 2, 2, 2])
          c = DepthwiseConv2D(s, const f32[1,3,3,3] rand(1), const f32[3] splat(0)) {depth_multiplier=1,
            padding=VALID}
          b = BatchToSpaceND(c, const i32[2] [2, 2], const i32[2,2] [0, 0, 0, 0])
          a = Add(b, const f32[3] [1, 2, 3])
          y = Relu(a)
        }
        """,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          y: f32[n,8,8,3] = DepthwiseConv2D(x, const f32[1,3,3,3] #c0, const f32[3] [1.0, 2.0, 3.0])
            {depth_multiplier=1, fused_activation_function=RELU, dilation_w_factor=2, dilation_h_factor=2}
        }
        """,
    ),
    "one dimension": (
        (*CANONICALIZE, *WINDOW),
        """
        graph main(x: f32[n,8,3]) -> (y) {
          s = SpaceToBatchND(x, const i32[1] [2], const i32[1,2] [2, 2])
          e = ExpandDims(s, const i32[] 1)
          c = Conv2D(e, const f32[4,1,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
          q = Squeeze(c) {squeeze_dims=(1)}
          y = BatchToSpaceND(q, const i32[1] [2], const i32[1,2] [0, 0])
        }
        """,
        """
        graph main(x: f32[n,8,3]) -> (y) {
          %1: f32[n,1,8,3] = Reshape(x, const i32[4] [-1, 1, 8, 3])
          %2: f32[n,1,8,4] = Conv2D(%1, const f32[4,1,3,3] #c0, const f32[4] [1.0, 2.0, 3.0, 4.0])
            {dilation_w_factor=2}
          y: f32[n,8,4] = Reshape(%2, const i32[3] [-1, 8, 4])
        }
        """,
    ),
    "one dimension, causal": (
        (*CANONICALIZE, *WINDOW),
        """
        graph main(x: f32[n,8,3]) -> (y) {
          s = SpaceToBatchND(x, const i32[1] [2], const i32[1,2] [4, 0])
          e = ExpandDims(s, const i32[] 2)
          c = Conv2D(e, const f32[4,3,1,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
          q = Squeeze(c) {squeeze_dims=(2)}
          y = BatchToSpaceND(q, const i32[1] [2], const i32[1,2] [0, 0])
        }
        """,
        """
        graph main(x: f32[n,8,3]) -> (y) {
          %1: f32[n,8,1,3] = Reshape(x, const i32[4] [-1, 8, 1, 3])
          %2: f32[n,12,1,3] = Pad(%1, const i32[4,2] [0, 0, 4, 0, 0, 0, 0, 0])
          %3: f32[n,8,1,4] = Conv2D(%2, const f32[4,3,1,3] #c0, const f32[4] [1.0, 2.0, 3.0, 4.0])
            {padding=VALID, dilation_h_factor=2}
          y: f32[n,8,4] = Reshape(%3, const i32[3] [-1, 8, 4])
        }
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rewrite(name):
    rules, before, after, *options = CASES[name]
    assert check(before, rules, after, **dict(*options))


UNCHANGED = {
    "not the padding of same": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          p = Pad(x, const i32[4,2] [0, 0, 1, 1, 1, 1, 0, 0])
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID, stride_w=2,
            stride_h=2}
        }
        """,
    ),
    "stride 2 at any size": (
        WINDOW,
        """
        graph main(x: f32[n,m,m,3]) -> (y) {
          p = Pad(x, const i32[4,2] [0, 0, 0, 1, 0, 1, 0, 0])
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID, stride_w=2,
            stride_h=2}
        }
        """,
    ),
    "padded channels": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,2]) -> (y) {
          p = Pad(x, const i32[4,2] [0, 0, 1, 1, 1, 1, 0, 1])
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
        }
        """,
    ),
    "another pad value": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          p = PadV2(x, const i32[4,2] [0, 0, 1, 1, 1, 1, 0, 0], const f32[] 1)
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
        }
        """,
    ),
    "pad used twice": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y, p) {
          p = Pad(x, const i32[4,2] [0, 0, 1, 1, 1, 1, 0, 0])
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
        }
        """,
    ),
    "pad not constant": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3], a: i32[4,2]) -> (y) {
          p = Pad(x, a)
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
        }
        """,
    ),
    "same already": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          p = Pad(x, const i32[4,2] [0, 0, 1, 1, 1, 1, 0, 0])
          y = Conv2D(p, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=SAME}
        }
        """,
    ),
    "different blocks": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = SpaceToBatchND(x, const i32[2] [2, 2], const i32[2,2] [2, 2, 2, 2])
          c = Conv2D(s, const f32[4,3,3,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
          y = BatchToSpaceND(c, const i32[2] [4, 1], const i32[2,2] [0, 0, 0, 0])
        }
        """,
    ),
    "a strided conv between": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = SpaceToBatchND(x, const i32[2] [2, 2], const i32[2,2] [2, 2, 2, 2])
          c = Conv2D(s, const f32[4,2,2,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID, stride_w=2,
            stride_h=2}
          y = BatchToSpaceND(c, const i32[2] [2, 2], const i32[2,2] [0, 0, 0, 0])
        }
        """,
    ),
    "crops that take results away": (
        WINDOW,
        """
        graph main(x: f32[n,8,8,3]) -> (y) {
          s = SpaceToBatchND(x, const i32[2] [2, 2], const i32[2,2] [0, 0, 0, 0])
          c = Conv2D(s, const f32[4,2,2,3] rand(1), const f32[4] [1, 2, 3, 4]) {padding=VALID}
          y = BatchToSpaceND(c, const i32[2] [2, 2], const i32[2,2] [1, 0, 0, 0])
        }
        """,
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_rewrite(name):
    rules, text = UNCHANGED[name]
    check_unchanged(text, rules)
