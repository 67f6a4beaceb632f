//! Others are told of state changes: a topic, a function, a webhook, Alertmanager, a program, the journal of systemd.
//!
//! What is to be told is made together with the state change and committed with it, so that neither is without the other. A
//! [`Queue`] decides what is due; whatever cannot be delivered is tried again, in order for each alarm, until it is too old.
//! Every delivery is noted as begun before it is made: one whose answer is lost with the program is made again, and counted.

mod command;
mod journald;
mod make;
mod policy;
mod queue;
mod send;
mod task;

use serde::{Deserialize, Serialize};

use crate::metric::Timestamp;

pub use make::{Notice, Occasion, certainty_name, deliveries, untold};
pub use policy::{CloudWatch, Seen, Standing};
pub use queue::Queue;
pub use send::{Failed, JOURNAL_SOCKET, Sender, read_secret};
pub use task::{Inputs, News, Notifier, Tested};

/// The most deliveries that wait; beyond it the oldest go.
pub const DELIVERIES_MAX: usize = 4_096;

/// Something that somebody is to be told, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The same whenever it is delivered, so that it can be told from another one.
    pub key: String,
    /// Who is told: the name of one of [`Notify`](crate::config::Notify).
    pub target: String,
    pub alarm: String,
    /// The ARN of the alarm.
    pub arn: String,
    pub state: String,
    pub certainty: String,
    pub host: String,
    /// When the state changed, and since when the alarm had been in the one before.
    #[serde(with = "milliseconds")]
    pub at: Timestamp,
    #[serde(with = "milliseconds")]
    pub before: Timestamp,
    /// The end of the period that brought it about, or when the state changed.
    #[serde(with = "milliseconds")]
    pub period_end: Timestamp,
    #[serde(with = "milliseconds")]
    pub made: Timestamp,
    /// Not before.
    #[serde(with = "milliseconds")]
    pub due: Timestamp,
    /// Until then another state takes its place, and nobody hears of it.
    #[serde(with = "milliseconds")]
    pub settles: Timestamp,
    /// The order in which deliveries were made.
    pub place: u64,
    pub phase: Phase,
    pub attempts: u32,
    /// It was begun, and no answer told what became of it.
    pub answer_lost: bool,
    /// How many times it was told before.
    pub repeats: u32,
    /// Nobody is told; when it is due it ends what is told of another state.
    pub is_silent: bool,
    pub is_test: bool,
    pub subject: String,
    pub body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Waiting,
    InFlight,
    /// It is kept to know what was told last, and to tell it again.
    Told,
}

/// In milliseconds since the epoch.
mod milliseconds {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::metric::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(
        at: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.milliseconds())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_milliseconds)
    }
}
