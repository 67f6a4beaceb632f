//! Requests as the SDK takes them.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    ActionConfiguration, AlarmPromQlCriteria, AlarmTagsPropagation, ComparisonOperator, Dimension,
    EvaluationCriteria, EvaluationWindow, Metric, MetricDataQuery, MetricStat, MuteTargets, Rule,
    Schedule, ScheduleConfiguration, ScheduledQueryConfiguration, SlidingWindow, StandardUnit,
    Statistic, Tag, WallClockWindow, WarmUpConfiguration,
};
use serde_json::Value;

use crate::aws::said;

/// The members of a request, each as the SDK wants it.
struct Members<'a>(&'a Value);

impl<'a> Members<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn inside(&self, name: &str) -> Option<Members<'a>> {
        self.get(name).map(Members)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    fn truth(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::as_bool)
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(Value::as_f64)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "CloudWatch's counts are small, and were read as such"
    )]
    fn count(&self, name: &str) -> Option<i32> {
        self.number(name).map(|number| number as i32)
    }

    fn list(&self, name: &str) -> impl Iterator<Item = Members<'a>> {
        let items = self.get(name).and_then(Value::as_array);
        items.into_iter().flatten().map(Members)
    }

    fn texts(&self, name: &str) -> Option<Vec<String>> {
        let items = self.get(name)?.as_array()?.iter();
        let texts = items.filter_map(|item| item.as_str().map(str::to_owned));
        Some(texts.collect())
    }

    fn date(&self, name: &str) -> Option<DateTime> {
        match self.get(name)? {
            Value::Number(seconds) => seconds.as_i64().map(DateTime::from_secs),
            Value::String(text) => {
                let at: jiff::Timestamp = text.parse().ok()?;
                Some(DateTime::from_millis(at.as_millisecond()))
            }
            _ => None,
        }
    }

    fn tags(&self) -> Option<Vec<Tag>> {
        let tag = |tag: Members<'_>| {
            let (key, value) = (tag.text("Key"), tag.text("Value"));
            Tag::builder().set_key(key).set_value(value).build()
        };
        self.get("Tags")?;
        Some(self.list("Tags").map(tag).collect())
    }
}

/// Makes what the request is about: which of the operations it is for its members tell.
pub(super) async fn put(client: &Client, request: &Value) -> Result<(), String> {
    let members = Members(request);
    if members.get("AlarmName").is_none() {
        mute_rule(client, &members).await
    } else if members.get("AlarmRule").is_some() {
        composite_alarm(client, &members).await
    } else if members.get("ScheduledQueryConfiguration").is_some() {
        log_alarm(client, &members).await
    } else {
        metric_alarm(client, &members).await
    }
}

async fn metric_alarm(client: &Client, it: &Members<'_>) -> Result<(), String> {
    let queries: Vec<MetricDataQuery> = it
        .list("Metrics")
        .map(|query| self::query(&query))
        .collect();
    let asked = client
        .put_metric_alarm()
        .set_alarm_name(it.text("AlarmName"))
        .set_alarm_description(it.text("AlarmDescription"))
        .set_actions_enabled(it.truth("ActionsEnabled"))
        .set_ok_actions(it.texts("OKActions"))
        .set_alarm_actions(it.texts("AlarmActions"))
        .set_insufficient_data_actions(it.texts("InsufficientDataActions"))
        .set_metric_name(it.text("MetricName"))
        .set_namespace(it.text("Namespace"))
        .set_statistic(
            it.text("Statistic")
                .map(|name| Statistic::from(name.as_str())),
        )
        .set_extended_statistic(it.text("ExtendedStatistic"))
        .set_dimensions(dimensions(it))
        .set_period(it.count("Period"))
        .set_unit(
            it.text("Unit")
                .map(|name| StandardUnit::from(name.as_str())),
        )
        .set_evaluation_periods(it.count("EvaluationPeriods"))
        .set_datapoints_to_alarm(it.count("DatapointsToAlarm"))
        .set_threshold(it.number("Threshold"))
        .set_comparison_operator(operator(it))
        .set_treat_missing_data(it.text("TreatMissingData"))
        .set_evaluate_low_sample_count_percentile(it.text("EvaluateLowSampleCountPercentile"))
        .set_metrics((!queries.is_empty()).then_some(queries))
        .set_threshold_metric_id(it.text("ThresholdMetricId"))
        .set_evaluation_window(it.inside("EvaluationWindow").map(|it| window(&it)))
        .set_warm_up_configuration(warm_up(it))
        .set_evaluation_criteria(criteria(it))
        .set_evaluation_interval(it.count("EvaluationInterval"))
        .set_action_configuration(action_configuration(it))
        .set_tags(it.tags());
    let answer = asked.send().await;
    answer.map(drop).map_err(|error| said(&error))
}

async fn composite_alarm(client: &Client, it: &Members<'_>) -> Result<(), String> {
    let asked = client
        .put_composite_alarm()
        .set_alarm_name(it.text("AlarmName"))
        .set_alarm_description(it.text("AlarmDescription"))
        .set_actions_enabled(it.truth("ActionsEnabled"))
        .set_ok_actions(it.texts("OKActions"))
        .set_alarm_actions(it.texts("AlarmActions"))
        .set_insufficient_data_actions(it.texts("InsufficientDataActions"))
        .set_alarm_rule(it.text("AlarmRule"))
        .set_actions_suppressor(it.text("ActionsSuppressor"))
        .set_actions_suppressor_wait_period(it.count("ActionsSuppressorWaitPeriod"))
        .set_actions_suppressor_extension_period(it.count("ActionsSuppressorExtensionPeriod"))
        .set_action_configuration(action_configuration(it))
        .set_tags(it.tags());
    let answer = asked.send().await;
    answer.map(drop).map_err(|error| said(&error))
}

async fn log_alarm(client: &Client, it: &Members<'_>) -> Result<(), String> {
    let asked = client
        .put_log_alarm()
        .set_alarm_name(it.text("AlarmName"))
        .set_alarm_description(it.text("AlarmDescription"))
        .set_actions_enabled(it.truth("ActionsEnabled"))
        .set_ok_actions(it.texts("OKActions"))
        .set_alarm_actions(it.texts("AlarmActions"))
        .set_insufficient_data_actions(it.texts("InsufficientDataActions"))
        .set_scheduled_query_configuration(
            it.inside("ScheduledQueryConfiguration")
                .map(|it| scheduled_query(&it)),
        )
        .set_query_results_to_evaluate(it.count("QueryResultsToEvaluate"))
        .set_query_results_to_alarm(it.count("QueryResultsToAlarm"))
        .set_threshold(it.number("Threshold"))
        .set_comparison_operator(operator(it))
        .set_treat_missing_data(it.text("TreatMissingData"))
        .set_action_log_line_count(it.count("ActionLogLineCount"))
        .set_action_log_line_role_arn(it.text("ActionLogLineRoleArn"))
        .set_warm_up_configuration(warm_up(it))
        .set_action_configuration(action_configuration(it))
        .set_tags(it.tags());
    let answer = asked.send().await;
    answer.map(drop).map_err(|error| said(&error))
}

async fn mute_rule(client: &Client, it: &Members<'_>) -> Result<(), String> {
    let schedule = it.inside("Rule").and_then(|rule| rule.inside("Schedule"));
    let schedule = schedule.map(|it| {
        Schedule::builder()
            .set_expression(it.text("Expression"))
            .set_duration(it.text("Duration"))
            .set_timezone(it.text("Timezone"))
            .build()
    });
    let targets = it.inside("MuteTargets").map(|targets| {
        MuteTargets::builder()
            .set_alarm_names(targets.texts("AlarmNames"))
            .build()
    });
    let asked = client
        .put_alarm_mute_rule()
        .set_name(it.text("Name"))
        .set_description(it.text("Description"))
        .rule(Rule::builder().set_schedule(schedule).build())
        .set_mute_targets(targets)
        .set_start_date(it.date("StartDate"))
        .set_expire_date(it.date("ExpireDate"))
        .set_tags(it.tags());
    let answer = asked.send().await;
    answer.map(drop).map_err(|error| said(&error))
}

fn operator(it: &Members<'_>) -> Option<ComparisonOperator> {
    let name = it.text("ComparisonOperator")?;
    Some(ComparisonOperator::from(name.as_str()))
}

fn dimensions(it: &Members<'_>) -> Option<Vec<Dimension>> {
    let dimension = |it: Members<'_>| {
        let (name, value) = (it.text("Name"), it.text("Value"));
        Dimension::builder().set_name(name).set_value(value).build()
    };
    it.get("Dimensions")?;
    Some(it.list("Dimensions").map(dimension).collect())
}

fn query(it: &Members<'_>) -> MetricDataQuery {
    let stat = it.inside("MetricStat").map(|stat| {
        let metric = stat.inside("Metric").map(|metric| {
            Metric::builder()
                .set_namespace(metric.text("Namespace"))
                .set_metric_name(metric.text("MetricName"))
                .set_dimensions(dimensions(&metric))
                .build()
        });
        MetricStat::builder()
            .set_metric(metric)
            .set_period(stat.count("Period"))
            .set_stat(stat.text("Stat"))
            .set_unit(
                stat.text("Unit")
                    .map(|name| StandardUnit::from(name.as_str())),
            )
            .build()
    });
    MetricDataQuery::builder()
        .set_id(it.text("Id"))
        .set_metric_stat(stat)
        .set_expression(it.text("Expression"))
        .set_label(it.text("Label"))
        .set_return_data(it.truth("ReturnData"))
        .set_period(it.count("Period"))
        .set_account_id(it.text("AccountId"))
        .build()
}

fn window(it: &Members<'_>) -> EvaluationWindow {
    match it.inside("WallClockWindow") {
        Some(wall_clock) => EvaluationWindow::WallClockWindow(
            WallClockWindow::builder()
                .set_timezone(wall_clock.text("Timezone"))
                .build(),
        ),
        None => EvaluationWindow::SlidingWindow(SlidingWindow::builder().build()),
    }
}

fn warm_up(it: &Members<'_>) -> Option<WarmUpConfiguration> {
    let it = it.inside("WarmUpConfiguration")?;
    let to_the_end = it.truth("OnlyStartEvaluatingAfterWarmUpPeriodEnds");
    let minutes = it.count("WarmUpPeriodDurationInMinutes");
    let built = WarmUpConfiguration::builder()
        .set_warm_up_period_duration_in_minutes(minutes)
        .set_only_start_evaluating_after_warm_up_period_ends(to_the_end);
    Some(built.build())
}

fn criteria(it: &Members<'_>) -> Option<EvaluationCriteria> {
    let it = it.inside("EvaluationCriteria")?.inside("PromQLCriteria")?;
    let built = AlarmPromQlCriteria::builder()
        .set_query(it.text("Query"))
        .set_pending_period(it.count("PendingPeriod"))
        .set_recovery_period(it.count("RecoveryPeriod"));
    Some(EvaluationCriteria::PromQlCriteria(built.build()))
}

fn scheduled_query(it: &Members<'_>) -> ScheduledQueryConfiguration {
    let schedule = it.inside("ScheduleConfiguration").map(|it| {
        ScheduleConfiguration::builder()
            .set_schedule_expression(it.text("ScheduleExpression"))
            .set_start_time_offset(it.count("StartTimeOffset").map(i64::from))
            .set_end_time_offset(it.count("EndTimeOffset").map(i64::from))
            .build()
    });
    ScheduledQueryConfiguration::builder()
        .set_query_string(it.text("QueryString"))
        .set_log_group_identifiers(it.texts("LogGroupIdentifiers"))
        .set_scheduled_query_role_arn(it.text("ScheduledQueryRoleARN"))
        .set_schedule_configuration(schedule)
        .set_aggregation_expression(it.text("AggregationExpression"))
        .build()
}

fn action_configuration(it: &Members<'_>) -> Option<ActionConfiguration> {
    let tags = it
        .inside("ActionConfiguration")?
        .inside("AlarmTagsPropagation");
    let tags = tags.map(|it| {
        AlarmTagsPropagation::builder()
            .set_enabled(it.truth("Enabled"))
            .set_included_tag_keys(it.texts("IncludedTagKeys"))
            .set_excluded_tag_keys(it.texts("ExcludedTagKeys"))
            .build()
    });
    Some(
        ActionConfiguration::builder()
            .set_alarm_tags_propagation(tags)
            .build(),
    )
}
