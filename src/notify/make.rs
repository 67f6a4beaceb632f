//! What is to be told of a state change, and to whom.

use serde::Serialize;

use crate::alarm::{Certainty, Rule, StateValue};
use crate::config::{Notify, Recipient, Shape};
use crate::definition::{Own, Told, event, lambda_payload, sns_message, sns_subject, uuid};
use crate::metric::Timestamp;

use super::queue::NEW;
use super::{Delivery, Phase};

/// What subjects begin with, so that nobody takes them for CloudWatch's own.
const PREFIX: &str = "[cwbridge] ";
const TEST_PREFIX: &str = "[cwbridge] TEST ";

/// The source of events that are not put on a bus.
const SOURCE: &str = "cwbridge";

/// Why somebody may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The state changed. What is told of every transition is told now.
    Transition,
    /// CloudWatch would run the alarm's actions.
    Action,
    /// Actions are withheld, muted or switched off: what was told of the state before is over.
    Withheld,
    Test,
}

/// A state change, and what is known beside it.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    pub told: Told<'a>,
    pub occasion: Occasion,
    pub certainty: &'a Certainty,
    pub host: &'a str,
    /// Where the alarm is shown.
    pub page: &'a str,
    pub made: Timestamp,
}

/// As the configuration calls it.
pub fn certainty_name(certainty: &Certainty) -> &'static str {
    match certainty {
        Certainty::HistoryIncomplete => "history_incomplete",
        Certainty::Undetermined => "undetermined",
        Certainty::DependsOnRange(_) => "depends_on_range",
        Certainty::NearThreshold => "near_threshold",
        Certainty::MeasuredInGuest => "measured_in_guest",
        Certainty::Determined => "determined",
    }
}

/// One for everybody whom it concerns.
pub fn deliveries(notice: Notice<'_>, all: &[Notify]) -> Vec<Delivery> {
    let concerned = all.iter().filter(|notify| notify.concerns(notice));
    concerned.map(|notify| delivery(notice, notify)).collect()
}

/// Those who are not told because the verdict is not certain enough, and will be once it is.
pub fn untold(notice: Notice<'_>, all: &[Notify]) -> Vec<String> {
    let state = notice.told.change.new.state.name();
    let is_untold = |notify: &&Notify| {
        notice.occasion == Occasion::Action
            && notify.concerns(notice)
            && notify.states.contains(&state)
            && !notify.is_told(notice)
    };
    let untold = all.iter().filter(is_untold);
    untold.map(|notify| notify.name.clone()).collect()
}

impl Notify {
    /// Whether every transition is told, whatever becomes of the alarm's actions.
    fn is_of_events(&self) -> bool {
        matches!(self.to, Recipient::File(_) | Recipient::EventBridge { .. })
    }

    /// Whether it is told of an alarm at all.
    fn is_meant(&self, alarm: &str) -> bool {
        self.alarms.is_empty() || self.alarms.iter().any(|it| it.matches(alarm))
    }

    /// Whether it goes on being told of a state that was told.
    pub(super) fn goes_on_with(&self, alarm: &str, state: &str) -> bool {
        self.is_meant(alarm) && self.states.contains(&state)
    }

    fn concerns(&self, notice: Notice<'_>) -> bool {
        self.is_meant(&notice.told.status.alarm.name)
            && match notice.occasion {
                Occasion::Transition => self.is_of_events(),
                Occasion::Action | Occasion::Withheld => !self.is_of_events(),
                Occasion::Test => true,
            }
    }

    fn is_told(&self, notice: Notice<'_>) -> bool {
        let state = notice.told.change.new.state.name();
        let certainty = certainty_name(notice.certainty);
        match notice.occasion {
            Occasion::Transition | Occasion::Test => true,
            Occasion::Withheld => false,
            Occasion::Action => {
                self.states.contains(&state) && self.certainties.contains(&certainty)
            }
        }
    }

    /// How long a state must have lasted until it is told.
    fn delay(&self, state: StateValue) -> i64 {
        let delay = match state {
            StateValue::Alarm => self.delay_up,
            StateValue::Ok | StateValue::InsufficientData => self.delay_down,
        };
        i64::try_from(delay.as_secs()).unwrap_or(i64::MAX)
    }
}

fn delivery(notice: Notice<'_>, notify: &Notify) -> Delivery {
    let Notice {
        told, host, made, ..
    } = notice;
    let (status, change) = (told.status, told.change);
    let (at, state) = (change.at, change.new.state);
    let is_test = notice.occasion == Occasion::Test;
    let is_silent = !notify.is_told(notice);
    let delay = match notice.occasion {
        Occasion::Action | Occasion::Withheld => notify.delay(state),
        Occasion::Transition | Occasion::Test => 0,
    };
    let of_test = is_test.then(|| made.milliseconds().to_string());
    let identity = [
        host,
        &status.arn,
        &at.milliseconds().to_string(),
        state.name(),
        &notify.name,
        &of_test.unwrap_or_default(),
    ];
    let key = uuid(&identity.join("\n"));
    let evaluated = status.evaluation.as_ref();
    let evaluated = evaluated.filter(|evaluation| evaluation.at == at);
    Delivery {
        target: notify.name.clone(),
        alarm: status.alarm.name.clone(),
        arn: status.arn.clone(),
        state: state.name().to_owned(),
        certainty: certainty_name(notice.certainty).to_owned(),
        host: host.to_owned(),
        at,
        before: change.old_since.unwrap_or(at),
        period_end: evaluated.map_or(at, |evaluation| evaluation.end),
        made,
        due: made + delay,
        settles: made + delay,
        place: NEW,
        phase: Phase::Waiting,
        attempts: 0,
        answer_lost: false,
        repeats: 0,
        is_silent,
        is_test,
        subject: match is_silent {
            true => String::new(),
            false => sns_subject(if is_test { TEST_PREFIX } else { PREFIX }, told),
        },
        body: match is_silent {
            true => String::new(),
            false => body(notice, &notify.to, &key),
        },
        key,
    }
}

fn body(notice: Notice<'_>, to: &Recipient, key: &str) -> String {
    let told = notice.told;
    let own = Own {
        id: key,
        host: notice.host,
        certainty: certainty_name(notice.certainty),
        test: notice.occasion == Occasion::Test,
    };
    match to {
        Recipient::Sns(_) | Recipient::Command(_) => sns_message(told),
        Recipient::Lambda(_) => lambda_payload(told),
        Recipient::EventBridge { source, .. } => event(told, own, source).detail,
        Recipient::Webhook(webhook) => match webhook.shape {
            Shape::Sns => sns_message(told),
            Shape::EventBridge => event(told, own, SOURCE).whole,
        },
        Recipient::File(_) => event(told, own, SOURCE).whole,
        Recipient::Alertmanager { labels, .. } => alert(notice, labels),
        Recipient::Journald => told.change.new.reason.to_string(),
    }
}

/// An alert of Alertmanager's, but for its end.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    labels: std::collections::BTreeMap<&'a str, &'a str>,
    annotations: std::collections::BTreeMap<&'static str, &'a str>,
    starts_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
}

fn alert(notice: Notice<'_>, labels: &[(String, String)]) -> String {
    let Told { status, change, .. } = notice.told;
    let alarm = &status.alarm;
    let kind = match alarm.rule {
        Rule::Composite(_) => "composite",
        _ => "metric",
    };
    let mut all = std::collections::BTreeMap::from([
        ("alertname", &*alarm.name),
        ("alarm_kind", kind),
        ("instance", notice.host),
        ("source", SOURCE),
    ]);
    let places = [
        ("region", notice.told.region()),
        ("account", notice.told.account()),
    ];
    all.extend(places.into_iter().filter(|(_, value)| !value.is_empty()));
    if notice.occasion == Occasion::Test {
        all.insert("test", "true");
    }
    all.extend(labels.iter().map(|(name, value)| (&**name, &**value)));
    let mut annotations = std::collections::BTreeMap::from([("summary", &*change.new.reason)]);
    annotations.extend(
        alarm
            .description
            .as_deref()
            .map(|text| ("description", text)),
    );
    serde_json::to_string(&Alert {
        labels: all,
        annotations,
        starts_at: change.at.in_history(),
        generator_url: notice.page,
    })
    .expect("strings are always JSON")
}
