//! What CloudWatch tells others of a state change: the message to an SNS topic, the payload of a Lambda function, the event on
//! `EventBridge` (SPEC section 16).

mod configuration;
mod trigger;

use serde::Serialize;

use crate::alarm::{
    CompositeAlarm, EvaluationState, MuteRule, ReasonData, Rule, StateChange, StateSnapshot,
    Status, SuppressedBy, TriggeringAlarm, Window,
};
use crate::metric::Timestamp;

use super::reason_data;
use super::region::region_name;
use configuration::Configuration;
use trigger::Trigger;

/// An SNS subject has at most 100 characters.
const SUBJECT_CHARACTERS_MAX: usize = 100;

/// A state change as it is told to others.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub status: &'a Status,
    pub change: StateChange<'a>,
    /// Whether a mute rule withheld it until now.
    pub after_mute_window: bool,
    /// The mute rule that withholds the alarm's actions, and its window.
    pub muted_by: Option<(&'a MuteRule, Window)>,
}

/// What only an event of this program says.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Own<'a> {
    /// The same for the same state change, whoever is told.
    pub id: &'a str,
    pub host: &'a str,
    pub certainty: &'a str,
    pub test: bool,
}

impl<'a> Told<'a> {
    /// A part of the alarm's ARN: `arn:partition:cloudwatch:region:account:alarm:name`.
    fn arn_part(&self, place: usize) -> &'a str {
        self.status
            .arn
            .splitn(7, ':')
            .nth(place)
            .unwrap_or_default()
    }

    /// The code of the region; empty where it is not known.
    pub fn region(&self) -> &'a str {
        self.arn_part(3)
    }

    /// Empty where it is not known.
    pub fn account(&self) -> &'a str {
        self.arn_part(4)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Message<'a> {
    alarm_name: &'a str,
    alarm_description: Option<&'a str>,
    #[serde(rename = "AWSAccountId")]
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_configuration_updated_timestamp: Option<String>,
    new_state_value: &'static str,
    new_state_reason: &'a str,
    state_change_time: String,
    region: &'a str,
    alarm_arn: &'a str,
    old_state_value: &'static str,
    #[serde(rename = "OKActions")]
    ok_actions: &'a [String],
    alarm_actions: &'a [String],
    insufficient_data_actions: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    action_executed_after_mute_window: Option<bool>,
    #[serde(flatten)]
    rule: MessageRule<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum MessageRule<'a> {
    Metric(Triggered<'a>),
    Composite(Composite<'a>),
    /// Which members CloudWatch writes of others is not known in full.
    Other {},
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Triggered<'a> {
    trigger: Trigger<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Composite<'a> {
    alarm_rule: String,
    triggering_children: Vec<Child<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressor_wait_period: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressor_extension_period: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Child<'a> {
    arn: &'a str,
    state: ChildState,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChildState {
    value: &'static str,
    timestamp: String,
}

/// The body of the message to an SNS topic.
pub fn sns_message(told: Told<'_>) -> String {
    let (status, StateChange { at, old, new, .. }) = (told.status, told.change);
    let actions = &status.alarm.actions;
    to_json(&Message {
        alarm_name: &status.alarm.name,
        alarm_description: status.alarm.description.as_deref(),
        account: told.account(),
        alarm_configuration_updated_timestamp: status
            .configured_at()
            .filter(|_| !matches!(status.alarm.rule, Rule::Composite(_)))
            .map(Timestamp::in_reason_data),
        new_state_value: new.state.name(),
        new_state_reason: &new.reason,
        state_change_time: at.in_reason_data(),
        region: region_name(told.region()),
        alarm_arn: &status.arn,
        old_state_value: old.state.name(),
        ok_actions: &actions.ok,
        alarm_actions: &actions.alarm,
        insufficient_data_actions: &actions.insufficient_data,
        action_executed_after_mute_window: match status.alarm.rule {
            Rule::Composite(_) => None,
            _ => Some(told.after_mute_window),
        },
        rule: match &status.alarm.rule {
            Rule::Metric(alarm) => MessageRule::Metric(Triggered {
                trigger: Trigger::of(alarm),
            }),
            Rule::Composite(composite) => MessageRule::Composite(of_composite(composite, new)),
            Rule::PromQl(_) | Rule::Log(_) => MessageRule::Other {},
        },
    })
}

fn of_composite<'a>(alarm: &'a CompositeAlarm, new: &'a StateSnapshot) -> Composite<'a> {
    let suppressor = alarm.suppressor.as_ref();
    Composite {
        alarm_rule: alarm.rule.to_string(),
        triggering_children: children(new),
        actions_suppressor: suppressor.map(|it| &*it.alarm),
        actions_suppressor_wait_period: suppressor.map(|it| it.wait_period),
        actions_suppressor_extension_period: suppressor.map(|it| it.extension_period),
    }
}

fn children(new: &StateSnapshot) -> Vec<Child<'_>> {
    let Some(ReasonData::TriggeringAlarms(alarms)) = new.reason_data.as_deref() else {
        return Vec::new();
    };
    alarms.iter().map(child).collect()
}

fn child(TriggeringAlarm { arn, state, at }: &TriggeringAlarm) -> Child<'_> {
    Child {
        arn,
        state: ChildState {
            value: state.name(),
            timestamp: at.in_reason_data(),
        },
    }
}

/// The subject of the message, which begins with `prefix`: `ALARM: "name" in US East (N. Virginia)`.
pub fn sns_subject(prefix: &str, told: Told<'_>) -> String {
    let state = told.change.new.state;
    let name = &told.status.alarm.name;
    let place = match told.region() {
        "" => String::new(),
        region => format!(" in {}", region_name(region)),
    };
    // SNS takes printable ASCII alone.
    let is_taken = |char: char| char.is_ascii_graphic() || char == ' ';
    let taken = |text: &str| text.replace(|char| !is_taken(char), "?");
    let frame = prefix.len() + state.name().len() + place.len() + ": \"\"".len();
    let room = SUBJECT_CHARACTERS_MAX.saturating_sub(frame);
    let name: String = match name.chars().count() {
        count if count <= room => taken(name),
        _ => {
            let kept: String = name.chars().take(room.saturating_sub(3)).collect();
            format!("{}...", taken(&kept))
        }
    };
    format!("{prefix}{state}: \"{name}\"{place}")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    source: &'static str,
    alarm_arn: &'a str,
    account_id: &'a str,
    time: String,
    region: &'a str,
    alarm_data: Detail<'a>,
}

/// What is told in the payload and in the event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "named as CloudWatch names them")]
struct Detail<'a> {
    alarm_name: &'a str,
    state: State<'a>,
    previous_state: State<'a>,
    configuration: Configuration<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mute_detail: Option<MuteDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwbridge: Option<Own<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "named as CloudWatch names them")]
struct State<'a> {
    value: &'static str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_data: Option<String>,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressed_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressed_reason: Option<String>,
}

/// SPEC section 15.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MuteDetail {
    muted_by_arn: String,
    mute_window_start: String,
    mute_window_end: String,
}

fn mute_detail(told: Told<'_>) -> Option<MuteDetail> {
    let (rule, window) = told.muted_by?;
    let partition = told.arn_part(1);
    let (region, account) = (told.region(), told.account());
    Some(MuteDetail {
        muted_by_arn: format!(
            "arn:{partition}:cloudwatch:{region}:{account}:alarm-mute-rule:{}",
            rule.name
        ),
        mute_window_start: window.from.in_reason_data(),
        mute_window_end: window.to.in_reason_data(),
    })
}

fn detail<'a>(told: Told<'a>, own: Option<Own<'a>>) -> Detail<'a> {
    let (status, change) = (told.status, told.change);
    let suppressed_by = status.suppressed_by.map(|(by, _)| by);
    Detail {
        alarm_name: &status.alarm.name,
        state: State {
            evaluation_state: status.evaluation_state.map(EvaluationState::name),
            actions_suppressed_by: suppressed_by.map(SuppressedBy::name),
            actions_suppressed_reason: suppressed_by.map(SuppressedBy::reason),
            ..state(change.new, change.at)
        },
        previous_state: state(change.old, change.old_since.unwrap_or(change.at)),
        configuration: Configuration::of(&status.alarm),
        mute_detail: mute_detail(told),
        cwbridge: own,
    }
}

fn state(snapshot: &StateSnapshot, since: Timestamp) -> State<'_> {
    State {
        value: snapshot.state.name(),
        reason: &snapshot.reason,
        reason_data: snapshot.reason_data.as_deref().map(reason_data),
        timestamp: since.in_reason_data(),
        evaluation_state: None,
        actions_suppressed_by: None,
        actions_suppressed_reason: None,
    }
}

/// The payload with which CloudWatch invokes a Lambda function.
pub fn lambda_payload(told: Told<'_>) -> String {
    to_json(&Payload {
        source: "aws.cloudwatch",
        alarm_arn: &told.status.arn,
        account_id: told.account(),
        time: told.change.at.in_reason_data(),
        region: told.region(),
        alarm_data: detail(told, None),
    })
}

/// An event as `EventBridge` has it, in parts, for whoever writes the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub detail_type: &'static str,
    /// JSON.
    pub detail: String,
    /// The whole of it as JSON.
    pub whole: String,
}

#[derive(Serialize)]
struct Envelope<'a> {
    version: &'static str,
    id: &'a str,
    #[serde(rename = "detail-type")]
    detail_type: &'static str,
    source: &'a str,
    account: &'a str,
    time: String,
    region: &'a str,
    resources: [&'a str; 1],
    detail: Detail<'a>,
}

const DETAIL_TYPE: &str = "CloudWatch Alarm State Change";

/// The event of a state change, from `source`.
pub fn event(told: Told<'_>, own: Own<'_>, source: &str) -> Event {
    Event {
        detail_type: DETAIL_TYPE,
        detail: to_json(&detail(told, Some(own))),
        whole: to_json(&Envelope {
            version: "0",
            id: own.id,
            detail_type: DETAIL_TYPE,
            source,
            account: told.account(),
            time: told.change.at.to_string(),
            region: told.region(),
            resources: [&told.status.arn],
            detail: detail(told, Some(own)),
        }),
    }
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and numbers are always JSON")
}

#[cfg(test)]
mod tests;
