//! Figures: each file lays one kind out as a [`Sketch`], from plain data. To add one: its file, and the section that calls it.
mod axis;
pub(in crate::report) mod cells;
pub(in crate::report) mod convergence;
pub(in crate::report) mod curves;
pub(in crate::report) mod forest;
pub(in crate::report) mod heat;
pub(in crate::report) mod importance;
pub(in crate::report) mod parallel;
pub(in crate::report) mod pareto;
pub(in crate::report) mod picture;
pub(in crate::report) mod roofline;
pub(in crate::report) mod scaling;
mod sketch;
pub(in crate::report) mod sweep;
mod theme;
pub(in crate::report) mod timeline;
pub(in crate::report) mod waterfall;

pub(in crate::report) use sketch::Sketch;
