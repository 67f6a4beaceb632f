//! cwbridge
pub mod alarm;
pub mod config;
pub mod definition;
pub mod finding;
pub mod metric;
pub mod pipeline;
pub mod store;
pub mod tree;
