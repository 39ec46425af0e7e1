//! Tests of the supervision layer.
