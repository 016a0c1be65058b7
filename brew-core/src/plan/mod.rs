//! The plan.

/// Placeholder until the plan's rooms stand.
pub type Problem = String;
