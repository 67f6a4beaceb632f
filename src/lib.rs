//! cwbridge
pub mod alarm;
pub mod metric;
pub mod pipeline;
pub mod store;
