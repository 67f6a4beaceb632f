//! cwbridge
pub mod alarm;
pub mod clock;
pub mod config;
pub mod cost;
pub mod definition;
pub mod exposition;
pub mod finding;
pub mod host;
pub mod http;
pub mod metric;
pub mod pipeline;
pub mod sources;
pub mod stats;
pub mod store;
pub mod tree;
