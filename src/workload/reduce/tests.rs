//! Analytic truths (WORKLOADS §4b), and every corner of the parameters against the definition in double precision.
use super::*;
