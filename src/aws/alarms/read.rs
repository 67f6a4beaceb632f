//! What CloudWatch describes, as the request that would make it.

use aws_sdk_cloudwatch::operation::get_alarm_mute_rule::GetAlarmMuteRuleOutput;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    ActionConfiguration, CompositeAlarm, Dimension, EvaluationCriteria, EvaluationState,
    EvaluationWindow, LogAlarm, Metric, MetricAlarm, MetricDataQuery, MetricStat,
    ScheduledQueryConfiguration, StateValue, WarmUpConfiguration,
};
use serde_json::{Map, Value, json};

use super::Described;

/// Members without those that are not set.
fn object(members: Value) -> Value {
    let Value::Object(members) = members else {
        return members;
    };
    let is_set = |value: &Value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let set = members.into_iter().filter(|(_, value)| is_set(value));
    Value::Object(set.collect::<Map<String, Value>>())
}

fn date(at: Option<&DateTime>) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(at?.to_millis().ok()?);
    at.ok().map(|at| at.to_string())
}

/// What CloudWatch says of an alarm of any kind, beside the request that would make it.
struct Said<'a> {
    name: Option<&'a str>,
    arn: Option<&'a str>,
    state: Option<&'a StateValue>,
    since: Option<&'a DateTime>,
    reason: Option<&'a str>,
    reason_data: Option<&'a str>,
    evaluation_state: Option<&'a EvaluationState>,
}

impl Said<'_> {
    fn of(&self, request: Value) -> (String, Described) {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let since = self.since.and_then(|at| at.to_millis().ok());
        let described = Described {
            request,
            arn: text(self.arn),
            state: text(self.state.map(StateValue::as_str)),
            state_since: since.unwrap_or_default(),
            reason: text(self.reason),
            reason_data: self.reason_data.map(str::to_owned),
            evaluation_state: self.evaluation_state.map(|state| state.as_str().to_owned()),
        };
        (text(self.name), described)
    }
}

pub(super) fn metric_alarm(alarm: &MetricAlarm) -> (String, Described) {
    let request = object(json!({
        "AlarmName": alarm.alarm_name(),
        "AlarmDescription": alarm.alarm_description(),
        "ActionsEnabled": alarm.actions_enabled(),
        "OKActions": alarm.ok_actions(),
        "AlarmActions": alarm.alarm_actions(),
        "InsufficientDataActions": alarm.insufficient_data_actions(),
        "MetricName": alarm.metric_name(),
        "Namespace": alarm.namespace(),
        "Statistic": alarm.statistic().map(aws_sdk_cloudwatch::types::Statistic::as_str),
        "ExtendedStatistic": alarm.extended_statistic(),
        "Dimensions": dimensions(alarm.dimensions()),
        "Period": alarm.period(),
        "Unit": alarm.unit().map(aws_sdk_cloudwatch::types::StandardUnit::as_str),
        "EvaluationPeriods": alarm.evaluation_periods(),
        "DatapointsToAlarm": alarm.datapoints_to_alarm(),
        "Threshold": alarm.threshold(),
        "ComparisonOperator": alarm.comparison_operator().map(aws_sdk_cloudwatch::types::ComparisonOperator::as_str),
        "TreatMissingData": alarm.treat_missing_data(),
        "EvaluateLowSampleCountPercentile": alarm.evaluate_low_sample_count_percentile(),
        "Metrics": alarm.metrics().iter().map(query).collect::<Vec<Value>>(),
        "ThresholdMetricId": alarm.threshold_metric_id(),
        "EvaluationWindow": alarm.evaluation_window().and_then(window),
        "WarmUpConfiguration": alarm.warm_up_configuration().map(warm_up),
        "EvaluationCriteria": alarm.evaluation_criteria().and_then(criteria),
        "EvaluationInterval": alarm.evaluation_interval(),
        "ActionConfiguration": alarm.action_configuration().map(action_configuration),
    }));
    let since = alarm.state_transitioned_timestamp();
    let said = Said {
        name: alarm.alarm_name(),
        arn: alarm.alarm_arn(),
        state: alarm.state_value(),
        since: since.or(alarm.state_updated_timestamp()),
        reason: alarm.state_reason(),
        reason_data: alarm.state_reason_data(),
        evaluation_state: alarm.evaluation_state(),
    };
    said.of(request)
}

pub(super) fn composite_alarm(alarm: &CompositeAlarm) -> (String, Described) {
    let suppressor = alarm.actions_suppressor().filter(|text| !text.is_empty());
    let request = object(json!({
        "AlarmName": alarm.alarm_name(),
        "AlarmDescription": alarm.alarm_description(),
        "ActionsEnabled": alarm.actions_enabled(),
        "OKActions": alarm.ok_actions(),
        "AlarmActions": alarm.alarm_actions(),
        "InsufficientDataActions": alarm.insufficient_data_actions(),
        "AlarmRule": alarm.alarm_rule(),
        "ActionsSuppressor": suppressor,
        "ActionsSuppressorWaitPeriod": suppressor.and(alarm.actions_suppressor_wait_period()),
        "ActionsSuppressorExtensionPeriod": suppressor.and(alarm.actions_suppressor_extension_period()),
        "ActionConfiguration": alarm.action_configuration().map(action_configuration),
    }));
    let since = alarm.state_transitioned_timestamp();
    let said = Said {
        name: alarm.alarm_name(),
        arn: alarm.alarm_arn(),
        state: alarm.state_value(),
        since: since.or(alarm.state_updated_timestamp()),
        reason: alarm.state_reason(),
        reason_data: alarm.state_reason_data(),
        evaluation_state: None,
    };
    said.of(request)
}

pub(super) fn log_alarm(alarm: &LogAlarm) -> (String, Described) {
    let request = object(json!({
        "AlarmName": alarm.alarm_name(),
        "AlarmDescription": alarm.alarm_description(),
        "ActionsEnabled": alarm.actions_enabled(),
        "OKActions": alarm.ok_actions(),
        "AlarmActions": alarm.alarm_actions(),
        "InsufficientDataActions": alarm.insufficient_data_actions(),
        "ScheduledQueryConfiguration": alarm.scheduled_query_configuration().map(scheduled_query),
        "QueryResultsToEvaluate": alarm.query_results_to_evaluate(),
        "QueryResultsToAlarm": alarm.query_results_to_alarm(),
        "Threshold": alarm.threshold(),
        "ComparisonOperator": alarm.comparison_operator().map(aws_sdk_cloudwatch::types::ComparisonOperator::as_str),
        "TreatMissingData": alarm.treat_missing_data(),
        "ActionLogLineCount": alarm.action_log_line_count(),
        "ActionLogLineRoleArn": alarm.action_log_line_role_arn(),
        "WarmUpConfiguration": alarm.warm_up_configuration().map(warm_up),
        "ActionConfiguration": alarm.action_configuration().map(action_configuration),
    }));
    let since = alarm.state_transitioned_timestamp();
    let said = Said {
        name: alarm.alarm_name(),
        arn: alarm.alarm_arn(),
        state: alarm.state_value(),
        since: since.or(alarm.state_updated_timestamp()),
        reason: alarm.state_reason(),
        reason_data: alarm.state_reason_data(),
        evaluation_state: alarm.evaluation_state(),
    };
    said.of(request)
}

pub(super) fn mute_rule(rule: &GetAlarmMuteRuleOutput) -> Value {
    let schedule = rule
        .rule()
        .and_then(|rule| rule.schedule())
        .map(|schedule| {
            object(json!({
                "Expression": schedule.expression(),
                "Duration": schedule.duration(),
                "Timezone": schedule.timezone(),
            }))
        });
    let targets = rule
        .mute_targets()
        .map(|targets| json!({"AlarmNames": targets.alarm_names()}));
    object(json!({
        "Name": rule.name(),
        "Description": rule.description(),
        "Rule": {"Schedule": schedule},
        "MuteTargets": targets,
        "StartDate": date(rule.start_date()),
        "ExpireDate": date(rule.expire_date()),
    }))
}

fn dimensions(dimensions: &[Dimension]) -> Vec<Value> {
    let dimension = |it: &Dimension| json!({"Name": it.name(), "Value": it.value()});
    dimensions.iter().map(dimension).collect()
}

fn query(query: &MetricDataQuery) -> Value {
    object(json!({
        "Id": query.id(),
        "MetricStat": query.metric_stat().map(metric_stat),
        "Expression": query.expression(),
        "Label": query.label(),
        "ReturnData": query.return_data(),
        "Period": query.period(),
        "AccountId": query.account_id(),
    }))
}

fn metric_stat(stat: &MetricStat) -> Value {
    object(json!({
        "Metric": stat.metric().map(metric),
        "Period": stat.period(),
        "Stat": stat.stat(),
        "Unit": stat.unit().map(aws_sdk_cloudwatch::types::StandardUnit::as_str),
    }))
}

fn metric(metric: &Metric) -> Value {
    object(json!({
        "Namespace": metric.namespace(),
        "MetricName": metric.metric_name(),
        "Dimensions": dimensions(metric.dimensions()),
    }))
}

/// `None` for a sliding window, which there is without saying so.
fn window(window: &EvaluationWindow) -> Option<Value> {
    let wall_clock = window.as_wall_clock_window().ok()?;
    Some(json!({"WallClockWindow": object(json!({"Timezone": wall_clock.timezone()}))}))
}

fn warm_up(warm_up: &WarmUpConfiguration) -> Value {
    object(json!({
        "WarmUpPeriodDurationInMinutes": warm_up.warm_up_period_duration_in_minutes(),
        "OnlyStartEvaluatingAfterWarmUpPeriodEnds": warm_up.only_start_evaluating_after_warm_up_period_ends(),
    }))
}

fn criteria(criteria: &EvaluationCriteria) -> Option<Value> {
    let promql = criteria.as_prom_ql_criteria().ok()?;
    Some(json!({"PromQLCriteria": object(json!({
        "Query": promql.query(),
        "PendingPeriod": promql.pending_period(),
        "RecoveryPeriod": promql.recovery_period(),
    }))}))
}

fn scheduled_query(query: &ScheduledQueryConfiguration) -> Value {
    let schedule = query.schedule_configuration().map(|schedule| {
        object(json!({
            "ScheduleExpression": schedule.schedule_expression(),
            "StartTimeOffset": schedule.start_time_offset(),
            "EndTimeOffset": schedule.end_time_offset(),
        }))
    });
    object(json!({
        "QueryString": query.query_string(),
        "LogGroupIdentifiers": query.log_group_identifiers(),
        "ScheduledQueryRoleARN": query.scheduled_query_role_arn(),
        "ScheduleConfiguration": schedule,
        "AggregationExpression": query.aggregation_expression(),
    }))
}

fn action_configuration(configuration: &ActionConfiguration) -> Value {
    let tags = configuration.alarm_tags_propagation().map(|tags| {
        object(json!({
            "Enabled": tags.enabled(),
            "IncludedTagKeys": tags.included_tag_keys(),
            "ExcludedTagKeys": tags.excluded_tag_keys(),
        }))
    });
    object(json!({"AlarmTagsPropagation": tags}))
}
