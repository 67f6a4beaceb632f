//! One alarm with other settings, each combination of them an alarm of its own.

use crate::alarm::{Account, Alarm, Comparison, MetricAlarm, Rule, Source, TreatMissingData};
use crate::finding::one_of;
use crate::metric::Period;

/// The most combinations of one alarm.
pub const COMBINATIONS_MAX: usize = 10_000;

/// What of an alarm is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    Threshold,
    EvaluationPeriods,
    DatapointsToAlarm,
    Period,
    TreatMissingData,
}

impl Parameter {
    const ALL: [Self; 5] = [
        Self::Threshold,
        Self::EvaluationPeriods,
        Self::DatapointsToAlarm,
        Self::Period,
        Self::TreatMissingData,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::EvaluationPeriods => "evaluation_periods",
            Self::DatapointsToAlarm => "datapoints_to_alarm",
            Self::Period => "period",
            Self::TreatMissingData => "treat_missing_data",
        }
    }
}

/// One setting, with the text that people know it by.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub text: String,
    value: SettingValue,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum SettingValue {
    Number(f64),
    Count(u32),
    Period(Period),
    Treatment(TreatMissingData),
}

/// A parameter with every value that it is to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub parameter: Parameter,
    pub settings: Vec<Setting>,
}

/// An alarm with one combination of settings, by their places in the axes.
#[derive(Clone, Debug)]
pub struct Variant {
    pub places: Vec<usize>,
    /// Or why CloudWatch would refuse it.
    pub alarm: Result<Alarm, String>,
}

/// Reads `threshold=40..90:5` (from 40 to 90, by 5), `datapoints_to_alarm=1..3` or `treat_missing_data=missing,breaching`.
pub fn axis(text: &str) -> Result<Axis, String> {
    let example = "`threshold=40..90:5`, `datapoints_to_alarm=1..3` and `period=60,300` are";
    let (name, values) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is nothing to sweep; {example}"))?;
    let parameter = Parameter::ALL
        .into_iter()
        .find(|parameter| parameter.name() == name)
        .ok_or_else(|| {
            let allowed = one_of(Parameter::ALL.map(Parameter::name));
            format!("`{name}` cannot be swept, but only {allowed}")
        })?;
    let texts = match values.split_once("..") {
        Some((from, to)) if parameter != Parameter::TreatMissingData => range(from, to)
            .ok_or_else(|| {
                format!("`{values}` is no range of at most {COMBINATIONS_MAX} values; {example}")
            })?,
        _ => values
            .split(',')
            .map(|text| text.trim().to_owned())
            .collect(),
    };
    let mut settings: Vec<Setting> = Vec::new();
    for text in texts {
        let setting = setting(parameter, text)?;
        if settings.iter().any(|known| known.value == setting.value) {
            return Err(format!("`{name}={values}` has `{}` twice", setting.text));
        }
        settings.push(setting);
    }
    Ok(Axis {
        parameter,
        settings,
    })
}

/// The values from the first to the last, `to` with its step as `90:5`.
fn range(from: &str, to: &str) -> Option<Vec<String>> {
    let (to, step) = to.split_once(':').unwrap_or((to, "1"));
    let [from, to, step] = [from, to, step].map(|text| {
        let number = text.trim().parse::<f64>().ok();
        number.filter(|number| number.is_finite())
    });
    let (from, to, step) = (from?, to?, step?);
    // As many digits as were written: 0.1 + 0.2 is 0.3.
    let round = |value: f64| (value * 1e9).round() / 1e9;
    if step <= 0.0 || to < from {
        return None;
    }
    let values = (0..=COMBINATIONS_MAX)
        .map(|i| round(f64::from(u32::try_from(i).unwrap_or(u32::MAX)).mul_add(step, from)))
        .take_while(|value| *value <= to + step * 1e-9);
    let values: Vec<String> = values.map(|value| value.to_string()).collect();
    (values.len() <= COMBINATIONS_MAX).then_some(values)
}

fn setting(parameter: Parameter, text: String) -> Result<Setting, String> {
    let wrong = |allowed: &str| {
        let name = parameter.name();
        format!("`{name}` cannot be `{text}`, but must be {allowed}")
    };
    let count = || text.parse::<u32>().ok().filter(|count| *count > 0);
    let value = match parameter {
        Parameter::Threshold => text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .map(SettingValue::Number)
            .ok_or_else(|| wrong("a number")),
        Parameter::EvaluationPeriods | Parameter::DatapointsToAlarm => count()
            .map(SettingValue::Count)
            .ok_or_else(|| wrong("a whole number from 1")),
        Parameter::Period => count()
            .and_then(Period::new)
            .map(SettingValue::Period)
            .ok_or_else(|| wrong("10, 20, 30 or a multiple of 60")),
        Parameter::TreatMissingData => TreatMissingData::from_name(&text)
            .map(SettingValue::Treatment)
            .ok_or_else(|| wrong(&one_of(TreatMissingData::ALL.map(TreatMissingData::name)))),
    };
    Ok(Setting {
        value: value?,
        text,
    })
}

/// The alarm with every combination of settings, the last axis the quickest to change. An error says why it has none.
pub fn variants(alarm: &Alarm, axes: &[Axis]) -> Result<Vec<Variant>, String> {
    let Rule::Metric(rule) = &alarm.rule else {
        return Err("only alarms on metrics have settings to sweep".to_owned());
    };
    let count = axes
        .iter()
        .try_fold(1_usize, |count, axis| {
            count.checked_mul(axis.settings.len())
        })
        .filter(|count| *count <= COMBINATIONS_MAX);
    let Some(count) = count else {
        return Err(format!(
            "there are more than {COMBINATIONS_MAX} combinations"
        ));
    };
    let variant = |i: usize| {
        let places = places(i, axes);
        let settings = axes.iter().zip(&places);
        let settings: Vec<(Parameter, &Setting)> = settings
            .map(|(axis, place)| (axis.parameter, &axis.settings[*place]))
            .collect();
        Variant {
            alarm: varied(alarm, rule, &settings),
            places,
        }
    };
    Ok((0..count).map(variant).collect())
}

/// The places in each axis of the combination with that number.
fn places(number: usize, axes: &[Axis]) -> Vec<usize> {
    let mut rest = number;
    let mut places: Vec<usize> = axes
        .iter()
        .rev()
        .map(|axis| {
            let place = rest % axis.settings.len();
            rest /= axis.settings.len();
            place
        })
        .collect();
    places.reverse();
    places
}

fn varied(
    alarm: &Alarm,
    rule: &MetricAlarm,
    settings: &[(Parameter, &Setting)],
) -> Result<Alarm, String> {
    let (mut rule, mut name) = (rule.clone(), alarm.name.clone());
    for (parameter, setting) in settings {
        apply(&mut rule, *parameter, setting.value)?;
        name.extend([" ", parameter.name(), "=", &setting.text]);
    }
    if rule.minimum_to_alarm() > rule.evaluation_periods {
        return Err("datapoints_to_alarm is above evaluation_periods".to_owned());
    }
    let varied = Alarm {
        rule: Rule::Metric(rule),
        ..alarm.clone()
    };
    if let Some(refusal) = varied.validate(&Account::default()).into_iter().next() {
        return Err(refusal.text);
    }
    Ok(Alarm { name, ..varied })
}

fn apply(rule: &mut MetricAlarm, parameter: Parameter, value: SettingValue) -> Result<(), String> {
    match (parameter, value) {
        (Parameter::Threshold, SettingValue::Number(value)) => match &mut rule.comparison {
            Comparison::Threshold { threshold, .. } => *threshold = value,
            Comparison::Band { .. } => return Err("the alarm has no threshold".to_owned()),
        },
        (Parameter::EvaluationPeriods, SettingValue::Count(value)) => {
            rule.evaluation_periods = value;
        }
        (Parameter::DatapointsToAlarm, SettingValue::Count(value)) => {
            rule.datapoints_to_alarm = Some(value);
        }
        (Parameter::Period, SettingValue::Period(value)) => match rule.source {
            Source::Stat(_) => rule.period = value,
            Source::Math(_) | Source::Query { .. } => {
                return Err("the periods stand in `Metrics`".to_owned());
            }
        },
        (Parameter::TreatMissingData, SettingValue::Treatment(value)) => {
            rule.treat_missing_data = Some(value);
        }
        _ => return Err("the setting is of another parameter".to_owned()),
    }
    Ok(())
}
