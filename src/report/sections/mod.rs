//! One file a section of the report.
pub(super) mod criteria;
pub(super) mod findings;
pub(super) mod graph;
pub(super) mod headline;
pub(super) mod hypotheses;
pub(super) mod noise;
pub(super) mod pareto;
pub(super) mod phases;
pub(super) mod quality;
pub(super) mod recommended;
pub(super) mod reproduce;
pub(super) mod results;
pub(super) mod roofline;
pub(super) mod stages;
pub(super) mod waterfall;
