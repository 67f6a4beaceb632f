//! The one integration binary.
//!
//! `account`: a large one, and answers in part. `alarms`: whole alarm files judged over time. `cli`: the program from outside, exit codes and messages. `conformance`: what
//! CloudWatch is known to do, case by case. `durability`: nothing is lost. `examples`: what stands in `config` and `deploy`.
//! `golden`: commands with their output. `faults`: an endpoint that refuses, stalls, or answers nonsense. `notify`: who is told of state changes. `systemd`: what the service manager is told. `tidy`: the architecture. `e2e`: the program among its real
//! peers, LocalStack and Prometheus; slow, and run one after the other by `tests/run`.

#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
#![expect(clippy::float_cmp, reason = "counts are whole numbers")]
#![expect(
    clippy::cast_possible_wrap,
    reason = "tests state small numbers exactly"
)]

mod account;
mod alarms;
mod cli;
mod conformance;
mod doctor;
mod durability;
mod e2e;
mod endpoint;
mod examples;
mod faults;
mod golden;
mod iam;
mod judging;
mod laws;
mod logs;
mod notify;
mod proxy;
mod push;
mod reference;
mod systemd;
mod terraform;
mod tidy;
mod world;
