//! Alarms on datapoints: the input of PutMetricAlarm, but for PromQL.

use std::sync::Arc;

use crate::alarm::{
    BandOperator, Comparison, ComparisonOperator, DATAPOINTS_REFUSED, EvaluationWindow,
    LowSamplePercentile, MetricAlarm, MetricStat, PERIOD_REFUSED, Source, WarmUp,
};
use crate::definition::time_zone;
use crate::finding::Report;
use crate::metric::{
    BasicStatistic, Dimension, ExtendedStatistic, Metric, Period, Statistic, Unit,
};
use crate::tree::{Node, Value};

use super::metrics;
use super::reader::{Reader, at_least_one, named};

/// The request members of PutMetricAlarm, beside those that every alarm has.
pub(super) const MEMBERS: [&str; 19] = [
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationCriteria",
    "EvaluationInterval",
    "EvaluationPeriods",
    "EvaluationWindow",
    "ExtendedStatistic",
    "MetricName",
    "Metrics",
    "Namespace",
    "Period",
    "Statistic",
    "Threshold",
    "ThresholdMetricId",
    "TreatMissingData",
    "Unit",
    "WarmUpConfiguration",
];

/// What stands in `Metrics` instead, if that is given.
const OF_ONE_METRIC: [&str; 7] = [
    "Dimensions",
    "ExtendedStatistic",
    "MetricName",
    "Namespace",
    "Period",
    "Statistic",
    "Unit",
];

pub(super) fn metric_alarm(reader: &mut Reader<'_>) -> Option<MetricAlarm> {
    reader.unknown_members("PutMetricAlarm", &MEMBERS);
    if reader.has("EvaluationInterval") {
        reader.refuse(
            "EvaluationInterval",
            "`EvaluationInterval` goes with `EvaluationCriteria`, which is missing",
        );
    }
    let evaluation_periods = reader.required("EvaluationPeriods", at_least_one);
    let datapoints_to_alarm = reader.optional("DatapointsToAlarm", at_least_one);
    if let (Some(m), Some(n)) = (datapoints_to_alarm, evaluation_periods)
        && m > n
    {
        reader.refuse("DatapointsToAlarm", DATAPOINTS_REFUSED);
    }
    let treat_missing_data = reader.treat_missing_data();
    let evaluation_window = evaluation_window(reader);
    let warm_up = warm_up(reader);
    let comparison = comparison(reader);
    let source = match reader.has("Metrics") {
        true => {
            reader.forbid(&OF_ONE_METRIC, "Metrics");
            metrics::source(reader, comparison.as_ref())
        }
        false => one_metric(reader),
    };
    let low_sample_percentile =
        low_sample_percentile(reader, source.as_ref().map(|(source, _)| source));
    let (source, period) = source?;
    Some(MetricAlarm {
        source,
        period,
        evaluation_periods: evaluation_periods?,
        datapoints_to_alarm,
        comparison: comparison?,
        treat_missing_data,
        low_sample_percentile,
        evaluation_window,
        warm_up,
    })
}

fn one_metric(reader: &mut Reader<'_>) -> Option<(Source, Period)> {
    let namespace = reader.required("Namespace", Report::string);
    let name = reader.required("MetricName", Report::string);
    let dimensions = match reader.has("Dimensions") {
        true => reader.optional("Dimensions", dimensions),
        false => Some(Vec::new()),
    };
    let statistic = statistic(reader);
    let unit = reader.optional("Unit", unit);
    let period = reader.required("Period", period);
    let stat = MetricStat {
        metric: Arc::new(Metric::new(namespace?, name?, dimensions?)),
        statistic: statistic?,
        unit,
    };
    Some((Source::Stat(stat), period?))
}

/// `Statistic` or `ExtendedStatistic`.
fn statistic(reader: &mut Reader<'_>) -> Option<Statistic> {
    if !reader.has("ExtendedStatistic") {
        return reader.required("Statistic", |report, what, node| {
            let names = BasicStatistic::ALL.map(BasicStatistic::name);
            named(report, what, node, BasicStatistic::from_name, names).map(Statistic::Basic)
        });
    }
    if reader.has("Statistic") {
        reader.refuse("ExtendedStatistic", "PutMetricAlarm request can not be made with both Statistic and ExtendedStatistic parameters. Only one of them should be present");
    }
    reader.optional("ExtendedStatistic", |report, what, node| {
        let name = report.string(what, node)?;
        let found = ExtendedStatistic::from_name(&name);
        if found.is_none() {
            report.add(
                node.position,
                format!("The value {name} for parameter ExtendedStatistic is not supported."),
            );
        }
        Some(Statistic::Extended(Arc::new(found?)))
    })
}

fn low_sample_percentile(
    reader: &mut Reader<'_>,
    source: Option<&Source>,
) -> Option<LowSamplePercentile> {
    let option = "EvaluateLowSampleCountPercentile";
    let read = reader.optional(option, |report, what, node| {
        let find = |name: &str| match name {
            "evaluate" => Some(LowSamplePercentile::Evaluate),
            "ignore" => Some(LowSamplePercentile::Ignore),
            _ => None,
        };
        named(report, what, node, find, ["evaluate", "ignore"])
    });
    let statistic = match source {
        Some(Source::Stat(MetricStat { statistic, .. })) => statistic.name().to_owned(),
        _ => match reader.get("Statistic").map(|node| &node.value) {
            Some(Value::String(statistic)) => statistic.clone(),
            _ => return read,
        },
    };
    let is_percentile = matches!(Statistic::from_name(&statistic), Some(Statistic::Extended(it)) if it.is_percentile());
    if reader.has(option) && !is_percentile {
        reader.refuse(option, format!("Option evaluateLowSampleCountPercentile can not be applied with statistic {statistic}. This option is enabled only for percentile statistics."));
    }
    read
}

/// A threshold, or the band that `ThresholdMetricId` names.
fn comparison(reader: &mut Reader<'_>) -> Option<Comparison> {
    if !reader.has("ThresholdMetricId") {
        let operator = reader.required("ComparisonOperator", comparison_operator);
        let threshold = reader.required_or(
            "Threshold",
            "PutMetricAlarm request should have valid Threshold parameter",
            Report::number,
        );
        return Some(Comparison::Threshold {
            operator: operator?,
            threshold: threshold?,
        });
    }
    reader.forbid(&["Threshold"], "ThresholdMetricId");
    if !reader.has("Metrics") {
        reader.refuse(
            "ThresholdMetricId",
            "`ThresholdMetricId` names an element of `Metrics`, but there are none",
        );
    }
    let threshold_metric_id = reader.optional("ThresholdMetricId", Report::string);
    let operator = reader.required("ComparisonOperator", |report, what, node| {
        named(
            report,
            what,
            node,
            BandOperator::from_name,
            BandOperator::ALL.map(BandOperator::name),
        )
    });
    Some(Comparison::Band {
        operator: operator?,
        threshold_metric_id: threshold_metric_id?,
    })
}

pub(super) fn comparison_operator(
    report: &mut Report,
    what: &str,
    node: &Node,
) -> Option<ComparisonOperator> {
    let names = ComparisonOperator::ALL.map(ComparisonOperator::name);
    named(report, what, node, ComparisonOperator::from_name, names)
}

fn evaluation_window(reader: &mut Reader<'_>) -> EvaluationWindow {
    let window = reader.optional("EvaluationWindow", |report, what, node| {
        report.table(what, node)?;
        report.unknown_keys(
            "`EvaluationWindow`",
            node,
            &["SlidingWindow", "WallClockWindow"],
        );
        let Some(wall_clock) = node.get("WallClockWindow") else {
            return Some(EvaluationWindow::Sliding);
        };
        report.table("WallClockWindow", wall_clock)?;
        let zone = match wall_clock.get("Timezone") {
            Some(zone) => {
                let text = report.string("Timezone", zone)?;
                let found = time_zone(&text);
                found
                    .map_err(|message| report.add(zone.position, message))
                    .ok()?
            }
            None => jiff::tz::TimeZone::UTC,
        };
        Some(EvaluationWindow::WallClock { zone })
    });
    window.unwrap_or_default()
}

pub(super) fn warm_up(reader: &mut Reader<'_>) -> Option<WarmUp> {
    const MINUTES_MAX: u32 = 2_880;
    reader.optional("WarmUpConfiguration", |report, what, node| {
        report.table(what, node)?;
        let duration = "WarmUpPeriodDurationInMinutes";
        let to_the_end = "OnlyStartEvaluatingAfterWarmUpPeriodEnds";
        report.unknown_keys("`WarmUpConfiguration`", node, &[duration, to_the_end]);
        let minutes = match node.get(duration) {
            Some(minutes) => report.integer(duration, minutes, 1..=MINUTES_MAX),
            None => {
                report.add(node.position, format!("`{duration}` is missing"));
                None
            }
        };
        let to_the_end = node
            .get(to_the_end)
            .map(|node| report.boolean(to_the_end, node));
        Some(WarmUp {
            minutes: minutes?,
            to_the_end: to_the_end.unwrap_or(Some(false))?,
        })
    })
}

pub(in crate::definition) fn unit(report: &mut Report, what: &str, node: &Node) -> Option<Unit> {
    named(report, what, node, Unit::from_name, Unit::NAMES)
}

pub(super) fn period(report: &mut Report, what: &str, node: &Node) -> Option<Period> {
    let seconds = report.integer(what, node, 1..=u32::MAX)?;
    let period = Period::new(seconds);
    if period.is_none() {
        report.add(node.position, PERIOD_REFUSED);
    }
    period
}

pub(in crate::definition) fn dimensions(
    report: &mut Report,
    what: &str,
    node: &Node,
) -> Option<Vec<Dimension>> {
    report
        .list(what, node)?
        .iter()
        .map(|node| dimension(report, what, node))
        .collect()
}

fn dimension(report: &mut Report, what: &str, node: &Node) -> Option<Dimension> {
    report.table(what, node)?;
    let mut member = |member: &str| match node.get(member) {
        Some(node) => report.string(member, node),
        None => {
            report.add(node.position, format!("a dimension has no `{member}`"));
            None
        }
    };
    let (name, value) = (member("Name"), member("Value"));
    Some(Dimension::new(name?, value?))
}
