//! What happened to an alarm, in the shape of DescribeAlarmHistory: SPEC section 6.5.

use std::sync::Arc;

use crate::metric::Timestamp;

use super::{ReasonData, StateValue};

/// The most items kept of one alarm; the oldest go first, those of contributors before all others.
pub const HISTORY_ITEMS_MAX: usize = 16;

/// One thing that happened to an alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryItem {
    pub at: Timestamp,
    pub event: HistoryEvent,
}

#[derive(Clone, Debug, PartialEq)]
pub enum HistoryEvent {
    StateUpdate {
        old: StateSnapshot,
        new: StateSnapshot,
    },
    /// The state of one of several series changed.
    ContributorStateUpdate {
        contributor: String,
        old: StateSnapshot,
        new: StateSnapshot,
    },
    Created,
    Updated,
}

/// A state and why it was entered.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSnapshot {
    pub state: StateValue,
    pub reason: Arc<str>,
    pub reason_data: Option<Arc<ReasonData>>,
}

impl HistoryEvent {
    pub(super) fn is_of_contributor(&self) -> bool {
        matches!(self, Self::ContributorStateUpdate { .. })
    }

    /// `HistoryItemType`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::StateUpdate { .. } => "StateUpdate",
            Self::ContributorStateUpdate { .. } => "AlarmContributorStateUpdate",
            Self::Created | Self::Updated => "ConfigurationUpdate",
        }
    }

    /// `HistorySummary` of the alarm called `name`.
    pub fn summary(&self, name: &str) -> String {
        match self {
            Self::StateUpdate { old, new } => {
                format!("Alarm updated from {} to {}", old.state, new.state)
            }
            Self::ContributorStateUpdate {
                contributor,
                old,
                new,
            } => format!(
                "Alarm contributor {contributor} updated from {} to {}",
                old.state, new.state
            ),
            Self::Created => format!("Alarm \"{name}\" created"),
            Self::Updated => format!("Alarm \"{name}\" updated"),
        }
    }
}
