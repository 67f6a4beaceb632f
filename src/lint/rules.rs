//! The rules, one file each.

mod action_in_another_region;
mod alarm_at_creation;
mod alarm_latches;
mod all_datapoints_wanted;
mod breaching_never_clears;
mod child_unknown;
mod daily_window_slides;
mod defined_twice;
mod dimension_value_malformed;
mod dimensions_never_published;
mod division_unguarded;
mod dynamodb_treatment;
mod ec2_action_without_instance;
mod fill_decides;
mod graph_shows_another_value;
mod high_resolution_price;
mod high_resolution_without_data;
mod judged_hourly;
mod late_metric_breaching;
mod log_count_never_missing;
mod log_window_too_fresh;
mod low_samples_keep_alarm;
mod metric_unknown;
mod metrics_includes_helpers;
mod mute_never_ends;
mod mute_over;
mod mute_target_unknown;
mod no_action;
mod not_published_here;
mod ok_action_flaps;
mod ok_without_alarm_action;
mod operator_inverted;
mod paged_twice;
mod period_below_native;
mod promql_silence_recovers;
mod reboot_races_recovery;
mod recover_on_another_metric;
mod rule_follows_itself;
mod scales_without_traffic;
mod seen_several_times;
mod silence_counts_as_good;
mod silence_noticed_late;
mod silence_stops_instances;
mod silence_unnoticed;
mod silent_child_counts_as_fine;
mod sparse_metric_breaching;
mod sparse_metric_missing;
mod statistic_unfit;
mod suppressor_too_quick;
mod threshold_out_of_reach;
mod unhealthy_hosts_alone;
mod unit_never_published;
mod unit_set;
mod window_dependent_function;

use crate::alarm::{Comparison, ComparisonOperator, MetricAlarm};
use crate::metric::Dimension;

use super::Rule;

/// Every rule, by id.
pub const ALL: [Rule; 54] = [
    action_in_another_region::RULE,
    alarm_at_creation::RULE,
    alarm_latches::RULE,
    all_datapoints_wanted::RULE,
    breaching_never_clears::RULE,
    child_unknown::RULE,
    daily_window_slides::RULE,
    defined_twice::RULE,
    dimension_value_malformed::RULE,
    dimensions_never_published::RULE,
    division_unguarded::RULE,
    dynamodb_treatment::RULE,
    ec2_action_without_instance::RULE,
    fill_decides::RULE,
    graph_shows_another_value::RULE,
    high_resolution_price::RULE,
    high_resolution_without_data::RULE,
    judged_hourly::RULE,
    late_metric_breaching::RULE,
    log_count_never_missing::RULE,
    log_window_too_fresh::RULE,
    low_samples_keep_alarm::RULE,
    metric_unknown::RULE,
    metrics_includes_helpers::RULE,
    mute_never_ends::RULE,
    mute_over::RULE,
    mute_target_unknown::RULE,
    no_action::RULE,
    not_published_here::RULE,
    ok_action_flaps::RULE,
    ok_without_alarm_action::RULE,
    operator_inverted::RULE,
    paged_twice::RULE,
    period_below_native::RULE,
    promql_silence_recovers::RULE,
    reboot_races_recovery::RULE,
    recover_on_another_metric::RULE,
    rule_follows_itself::RULE,
    scales_without_traffic::RULE,
    seen_several_times::RULE,
    silence_counts_as_good::RULE,
    silence_noticed_late::RULE,
    silence_stops_instances::RULE,
    silence_unnoticed::RULE,
    silent_child_counts_as_fine::RULE,
    sparse_metric_breaching::RULE,
    sparse_metric_missing::RULE,
    statistic_unfit::RULE,
    suppressor_too_quick::RULE,
    threshold_out_of_reach::RULE,
    unhealthy_hosts_alone::RULE,
    unit_never_published::RULE,
    unit_set::RULE,
    window_dependent_function::RULE,
];

/// What an EC2 action does to the instance: `stop`, `terminate`, `reboot` or `recover`.
pub(super) fn on_instance(action: &str) -> Option<&'static str> {
    let whole = without_placeholders(action);
    let does = match whole.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "automate", _, "ec2", does] => does,
        // The older form, by way of Systems Manager: `…:action/actions/AWS_EC2.InstanceId.Stop/1.0`.
        ["arn", _, "swf", ..] => whole.rsplit('/').nth(1)?.rsplit('.').next()?,
        _ => return None,
    };
    ["stop", "terminate", "reboot", "recover"]
        .into_iter()
        .find(|known| does.eq_ignore_ascii_case(known))
}

/// The text with each `${…}` as one letter, so that the colons in it part nothing.
fn without_placeholders(text: &str) -> String {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        whole.push_str(before);
        whole.push('x');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    whole.push_str(rest);
    whole
}

/// Whether low values raise the alarm.
fn is_below(alarm: &MetricAlarm) -> bool {
    matches!(
        alarm.comparison,
        Comparison::Threshold {
            operator: ComparisonOperator::LessThanThreshold
                | ComparisonOperator::LessThanOrEqualToThreshold,
            ..
        }
    )
}

/// The dimensions of an instance's metric, and how many seconds it takes until the alarm goes off.
pub(super) fn instance_and_span(alarm: &MetricAlarm) -> Option<(&[Dimension], i64)> {
    let [stat] = alarm.stats()[..] else {
        return None;
    };
    let span = alarm.period.seconds() * i64::from(alarm.evaluation_periods);
    Some((stat.metric.dimensions(), span))
}
