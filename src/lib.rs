//! `cwbridge` is one small daemon for a host that is watched twice: by Prometheus, which scrapes it, and by CloudWatch, which
//! is sent metrics and raises alarms. It serves both from the same look at the host, and judges CloudWatch's alarms on the
//! spot: state, reason and certainty, seconds after the period ends and also when AWS is out of reach.
//!
//! # The data's way
//!
//! ```text
//!  host ──collect──▶ Look ──sources──▶ Reading ──▶ Pipeline::advance ──▶ Outcome
//!                                                   │ store: samples → datapoints     │
//!                                                   │ evaluator: datapoints → states  ├─ datapoints  ─publish─▶ CloudWatch
//!                                                                                     ├─ snapshot    ─serve───▶ Prometheus
//!                                                                                     └─ events      ─────────▶ log
//! ```
//!
//! A [`Look`](host::Look) is what was seen of the host, a [`Reading`](metric::Reading) what that says about metrics.
//! [`Pipeline::advance`](pipeline::Pipeline::advance) is the whole behaviour of the program: record the samples, close the
//! slots that have ended, judge every alarm that is due. It does no I/O, reads no clock and takes no lock, and there is no
//! second evaluator anywhere.
//!
//! # The evaluator as a library
//!
//! The core needs no daemon around it: another program judges CloudWatch's alarms over samples of its own.
//!
//! ```
//! use cwbridge::metric::{Content, Reading, Resolution, Sample, Timestamp, Unit};
//! use cwbridge::{alarm::Rule, definition, pipeline::Pipeline};
//!
//! let alarm = definition::parse("alarms.json", definition::BUILT_IN).alarms.remove(0).alarm;
//! let Rule::Metric(rule) = &alarm.rule else { unreachable!("it is on a metric") };
//! let metric = rule.stats()[0].metric.clone();
//! let mut pipeline = Pipeline::default();
//! pipeline.set_alarms(vec![alarm], Timestamp::from_seconds(0));
//! for minute in 0..4 {
//!     let (at, content) = (Timestamp::from_seconds(60 * minute), Content::Value(90.0));
//!     let sample = Sample { metric: metric.clone(), unit: Unit::PERCENT, resolution: Resolution::Standard, at, content };
//!     for transition in pipeline.advance(&Reading { at, samples: vec![sample] }).events.transitions {
//!         println!("{} is in {}: {}", transition.alarm.name, transition.to, transition.reason);
//!     }
//! }
//! assert_eq!(pipeline.statuses()[0].state.name(), "ALARM");
//! ```
//!
//! # The map
//!
//! Core, values and functions over them: [`metric`] is the vocabulary, [`store`] gathers samples into datapoints, [`math`] is
//! metric math, [`alarm`] judges, [`pipeline`] is all of it as one step; [`order`] sorts what needs each other.
//!
//! Text, functions of strings: [`finding`] says what is wrong and where, [`tree`] parses TOML and JSON so that every value
//! knows its place, [`definition`] reads and writes alarms as AWS tools do, [`lint`] says what is unwise about
//! alarms, [`unit_test`] runs their unit tests, [`replay`] takes them through a history, [`config`] reads the
//! configuration, [`import`] makes one of that of another program, [`cost`] tells what it will cost.
//!
//! Shell, one module per outside thing: [`clock`], [`host`], [`stats`] (what the daemon counts about itself), [`sources`]
//! (which metrics this host has), [`family`] (what Prometheus is told), [`exposition`] (a snapshot as Prometheus text),
//! [`guard`] (who may read it), [`http`], [`aws`], [`web`] (servers that are asked), [`journal`] (the file), [`keeper`] (the thread that keeps it),
//! [`publish`], [`mirror`] (CloudWatch's own alarms, compared), [`notify`] (who is told of state changes), [`logs`] (what goes to
//! CloudWatch Logs),
//! [`agent`] (the tasks and the channels between them), [`cli`].
//!
//! # Who may name whom
//!
//! Data flows one way; a module never looks upstream. A test reads these tables and holds the code to them.
//!
//! | layer | module | may name |
//! |---|---|---|
//! | core | `metric` | nothing |
//! | core | `store` | `metric` |
//! | core | `order` | nothing |
//! | core | `math` | `metric`, `order` |
//! | core | `alarm` | `metric`, `store`, `math`, `order` |
//! | core | `pipeline` | `metric`, `store`, `alarm` |
//! | text | `finding` | nothing |
//! | text | `tree` | `finding` |
//! | text | `definition` | `metric`, `math`, `alarm`, `finding`, `tree` |
//! | text | `lint` | `metric`, `alarm`, `finding`, `definition` |
//! | text | `unit_test` | `metric`, `alarm`, `store`, `pipeline`, `finding`, `tree` |
//! | text | `replay` | `metric`, `alarm`, `pipeline`, `finding` |
//! | text | `config` | `finding`, `tree` |
//! | text | `import` | `config` |
//! | text | `cost` | `metric`, `alarm` |
//! | shell | `family` | nothing |
//! | shell | `stats` | nothing |
//! | shell | `clock` | `metric` |
//! | shell | `host` | `metric`, `family`, `clock` |
//! | shell | `sources` | `metric`, `alarm`, `definition`, `config`, `family`, `host` |
//! | shell | `journal` | `metric` |
//! | shell | `keeper` | `metric`, `journal`, `clock`, `stats` |
//! | shell | `web` | `metric`, `finding` |
//! | shell | `aws` | `metric`, `finding`, `web` |
//! | shell | `publish` | `metric`, `keeper`, `clock`, `stats`, `aws` |
//! | shell | `mirror` | `metric`, `alarm`, `definition`, `config`, `cost`, `stats`, `clock`, `sources`, `aws` |
//! | shell | `notify` | `metric`, `alarm`, `definition`, `config`, `stats`, `clock`, `web`, `aws`, `keeper` |
//! | shell | `logs` | `metric`, `definition`, `config`, `journal`, `stats`, `clock`, `aws`, `keeper` |
//! | shell | `exposition` | `alarm`, `family`, `host`, `stats`, `mirror` |
//! | shell | `guard` | `finding`, `tree` |
//! | shell | `http` | `metric`, `alarm`, `definition`, `exposition`, `mirror`, `guard`, `notify`, `journal`, `keeper` |
//! | shell | `agent` | `metric`, `store`, `alarm`, `pipeline`, `definition`, `config`, `cost`, `stats`, `clock`, `host`, `sources`, `exposition`, `guard`, `http`, `aws`, `journal`, `keeper`, `publish`, `mirror`, `notify`, `logs`, `web` |
//! | shell | `cli` | `metric`, `alarm`, `finding`, `definition`, `lint`, `replay`, `unit_test`, `config`, `import`, `stats`, `cost`, `clock`, `host`, `sources`, `guard`, `journal`, `web`, `aws`, `notify`, `logs`, `agent` |
//!
//! Some crates are named in some modules only; the core names none that is not listed for it.
//!
//! | crate | only in |
//! |---|---|
//! | `jiff` | `metric`, `math`, `alarm`, `definition`, `lint`, `replay`, `config`, `host`, `aws`, `web`, `logs` |
//! | `csv` | `replay` |
//! | `rusqlite` | `journal` |
//! | `thiserror` | `math`, `alarm`, `journal` |
//! | `toml`, `serde_saphyr` | `tree` |
//! | `sysinfo` | `host` |
//! | `procfs` | `host`, `stats` |
//! | `rustix` | `host`, `notify` |
//! | `regex_lite` | `config`, `import`, `host`, `logs` |
//! | `prometheus_client`, `flate2` | `exposition` |
//! | `bytes` | `exposition`, `web` |
//! | `axum` | `guard`, `http` |
//! | `futures_core` | `http` |
//! | `tokio_io_timeout`, `tokio_rustls` | `http` |
//! | `base64` | `guard`, `notify`, `web` |
//! | `bcrypt`, `rustls`, `webpki` | `guard` |
//! | `sha2` | `guard`, `notify`, `logs` |
//! | `hmac` | `notify` |
//! | `hyper` | `http`, `web` |
//! | `hyper_util` | `aws`, `http`, `web` |
//! | `http_body_util`, `hyper_rustls` | `web` |
//! | `percent_encoding` | `aws`, `web` |
//! | `aws_config`, `aws_sdk_cloudwatch`, `aws_sdk_cloudwatchlogs`, `aws_sigv4`, `aws_smithy_xml` | `aws` |
//! | `clap`, `indicatif`, `tracing_subscriber` | `cli` |
//! | `glob` | `config`, `logs`, `cli` |
//! | `sd_notify` | `agent` |
//! | `tokio` | `guard`, `http`, `web`, `aws`, `keeper`, `publish`, `mirror`, `notify`, `logs`, `agent`, `cli` |
//!
//! # Invariants
//!
//! 1. The core does no I/O, reads no clock, spawns nothing, logs nothing.
//! 2. No core type derives `Serialize` or `Deserialize`; each file format has its own types.
//! 3. The wall clock is read in [`clock`], the environment in [`cli`]; everything else takes them as arguments.
//! 4. Every queue and every history has a named bound: names end in `_MAX`.
//! 5. A sink's failure is never another sink's problem: sampling, serving and judging go on whatever CloudWatch does.
//! 6. Nothing is started on a configuration that has a mistake, and every mistake is told at once.
//!
//! # Terms
//!
//! CloudWatch's, with CloudWatch's meaning: metric, dimension, statistic set, datapoint, period, evaluation range, breaching,
//! state. "SPEC" in comments is the project's collected knowledge of what CloudWatch does, with sources.

#![cfg_attr(
    test,
    expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        clippy::float_cmp,
        clippy::format_collect,
        reason = "tests state small numbers exactly"
    )
)]

pub mod alarm;
pub mod math;
pub mod metric;
pub mod order;
pub mod pipeline;
pub mod store;

pub mod config;
pub mod cost;
pub mod definition;
pub mod finding;
pub mod import;
pub mod lint;
pub mod replay;
pub mod tree;
pub mod unit_test;

pub mod agent;
pub mod aws;
pub mod cli;
pub mod clock;
pub mod exposition;
pub mod family;
pub mod guard;
pub mod host;
pub mod http;
pub mod journal;
pub mod keeper;
pub mod logs;
pub mod mirror;
pub mod notify;
pub mod publish;
pub mod sources;
pub mod stats;
pub mod web;
