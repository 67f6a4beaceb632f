//! What each path answers.

use super::*;
use crate::alarm::{Actions, Alarm, MetricStat, Rule, StateValue};
use crate::exposition::Snapshot;
use crate::host::{Facts, Look};
use crate::metric::{Content, Metric, Reading, Resolution, Sample, Timestamp, Unit};
use crate::mirror::{Agreement, Disagreement, Why};
use crate::pipeline::Pipeline;
use crate::stats::Stats;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use expect_test::expect;
use std::io::Read as _;
use tower::ServiceExt as _;

/// Three minutes at 90 of an alarm at 50, beside one that is not mirrored.
fn exposition() -> Arc<Exposition> {
    let metric = Arc::new(Metric::new("CWBridge", "m", vec![]));
    let built_in = crate::definition::parse("a", crate::definition::BUILT_IN);
    let Rule::Metric(built_in) = built_in.alarms[0].alarm.rule.clone() else {
        panic!("the built-in alarm is on a metric")
    };
    let on_metric = |stat: &MetricStat| {
        Ok::<_, ()>(MetricStat {
            metric: Arc::clone(&metric),
            ..stat.clone()
        })
    };
    let alarm = |name: &str, not_here: Option<&str>| Alarm {
        name: name.into(),
        arn: None,
        description: None,
        actions: Actions::default(),
        rule: Rule::Metric(built_in.with_metrics(on_metric).unwrap()),
        not_here: not_here.map(str::to_owned),
    };
    let mut pipeline = Pipeline::default();
    let alarms = vec![alarm("a <hot> one", None), alarm("b", Some("composite"))];
    pipeline.set_alarms(alarms, Timestamp::from_seconds(0));
    for minute in 0..4 {
        let at = Timestamp::from_seconds(minute * 60);
        let sample = Sample {
            metric: Arc::clone(&metric),
            unit: Unit::PERCENT,
            resolution: Resolution::Standard,
            at,
            content: Content::Value(90.0),
        };
        pipeline.advance(&Reading {
            at,
            samples: vec![sample],
        });
    }
    let look = Look {
        at: Timestamp::from_seconds(180),
        cpu: None,
        time: std::time::Duration::ZERO,
        cpu_took: None,
        collected: Arc::new([]),
        new: vec![],
    };
    let disagreement = Disagreement {
        why: Why::DataNotArrived,
        detail: None,
    };
    let comparison = Comparison {
        state: StateValue::Ok,
        since: Timestamp::from_seconds(0),
        reason: "Threshold Crossed: <none>".to_owned(),
        asked_at: Timestamp::from_seconds(170),
        agreement: Some(Agreement::Disagrees(disagreement)),
        lead: None,
    };
    let snapshot = Snapshot {
        look,
        facts: Arc::new(Facts::default()),
        statuses: Some(pipeline.statuses().into()),
        cloudwatch: Arc::new([("a <hot> one".to_owned(), comparison)].into()),
    };
    Arc::new(Exposition::new(snapshot, Arc::new(Stats::default())))
}

fn keeper() -> WeakHandle {
    crate::keeper::in_memory(Arc::new(Stats::default())).downgrade()
}

async fn request(
    shown: Option<Arc<Exposition>>,
    path: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let (_sender, receiver) = watch::channel(shown);
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (reloads, _) = mpsc::channel(1);
    let (tests, _) = mpsc::channel(1);
    let response = router(Served::new(
        receiver,
        reloads,
        tests,
        Events::default(),
        keeper(),
    ))
    .oneshot(request.body(Body::empty()).unwrap())
    .await
    .unwrap();
    let (parts, body) = response.into_parts();
    (
        parts.status,
        parts.headers,
        to_bytes(body, usize::MAX).await.unwrap().to_vec(),
    )
}

async fn text(path: &str) -> (StatusCode, String) {
    let (status, _, body) = request(Some(exposition()), path, &[]).await;
    (status, String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn metrics_come_in_the_format_and_encoding_asked_for() {
    let (status, headers, plain) = request(Some(exposition()), "/metrics", &[]).await;
    assert_eq!(
        (status, &headers[header::CONTENT_TYPE]),
        (
            StatusCode::OK,
            &Format::Text.content_type().parse().unwrap()
        )
    );
    assert!(!headers.contains_key(header::CONTENT_ENCODING));
    let plain = String::from_utf8(plain).unwrap();
    assert!(
        plain.contains("cwbridge_alarm_state{alarm=\"a <hot> one\",state=\"ALARM\"} 1\n"),
        "{plain}"
    );
    assert!(
        plain.contains("cwbridge_alarm_mirrored{alarm=\"b\"} 0\n"),
        "{plain}"
    );
    assert!(
        !plain.contains("state{alarm=\"b\""),
        "an alarm that is not mirrored has no state"
    );
    let wishes = [
        ("accept", "application/openmetrics-text"),
        ("accept-encoding", "gzip"),
    ];
    let (_, headers, packed) = request(Some(exposition()), "/metrics", &wishes).await;
    assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_string(&mut unpacked)
        .unwrap();
    assert!(unpacked.ends_with("# EOF\n"), "{unpacked}");
}

#[tokio::test]
async fn before_the_first_look_only_health_is_known() {
    for path in ["/metrics", "/-/ready", "/api/v1/alarms", "/api/v1/alarms/a"] {
        assert_eq!(
            request(None, path, &[]).await.0,
            StatusCode::SERVICE_UNAVAILABLE,
            "{path}"
        );
    }
    for path in ["/-/healthy", "/"] {
        assert_eq!(request(None, path, &[]).await.0, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn before_it_is_known_what_the_host_is_the_alarms_are_not_shown_as_none() {
    let known = exposition();
    let snapshot = Snapshot {
        statuses: None,
        ..known.snapshot.clone()
    };
    let unknown = Arc::new(Exposition::new(snapshot, Arc::new(Stats::default())));
    for path in ["/-/ready", "/api/v1/alarms", "/api/v1/alarms/a"] {
        let (status, _, body) = request(Some(Arc::clone(&unknown)), path, &[]).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(
            String::from_utf8(body).unwrap().contains("not known yet"),
            "{path}"
        );
    }
    assert_eq!(
        request(Some(unknown), "/metrics", &[]).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn events_are_followed_from_where_they_were_left() {
    use http_body_util::BodyExt as _;
    let (_sender, shown) = watch::channel(None);
    let (reloads, _) = mpsc::channel(1);
    let (tests, _) = mpsc::channel(1);
    let events = Events::default();
    for id in ["1", "2"] {
        events.add(id.to_owned(), format!("{{\"n\":{id}}}"));
    }
    let router = router(Served::new(shown, reloads, tests, events.clone(), keeper()));
    let request = Request::get("/api/v1/events").header("last-event-id", "1");
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await;
    let response = response.unwrap();
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/event-stream"
    );
    events.add("3".to_owned(), "{}".to_owned());
    let mut body = response.into_body();
    for expected in [
        "id: 2\nevent: state-change\ndata: {\"n\":2}\n\n",
        "id: 3\nevent: state-change\ndata: {}\n\n",
    ] {
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), expected);
    }
}

#[tokio::test]
async fn a_test_of_notifications_is_asked_for_from_this_host_alone() {
    let (_sender, shown) = watch::channel(None);
    let (reloads, _) = mpsc::channel(1);
    let (tests, mut requests) = mpsc::channel::<TestRequest>(1);
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            let heard = vec![("t".to_owned(), Err("no".to_owned()))];
            let _ = request.answer.send(match request.alarm.as_str() {
                "a b" => Ok(heard),
                _ => Err("there is no such alarm".to_owned()),
            });
        }
    });
    let served = Served::new(shown, reloads, tests, Events::default(), keeper());
    for (alarm, peer, origin, status, part) in [
        ("a%20b", "127.0.0.1:1", false, 200, "\"delivered\": false"),
        ("c", "127.0.0.1:1", false, 404, "there is no such alarm"),
        ("c", "127.0.0.1:1", true, 403, "a page in a browser"),
        ("c", "192.0.2.1:1", false, 403, "only this host"),
    ] {
        let path = format!("/api/v1/alarms/{alarm}/notify-test");
        let mut request = Request::post(path);
        if origin {
            request = request.header("origin", "http://x");
        }
        let router = router(served.clone()).layer(Extension(Peer(peer.parse().unwrap())));
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await;
        let response = response.unwrap();
        assert_eq!(response.status().as_u16(), status, "{alarm}");
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(body.contains(part), "{body}");
    }
}

#[tokio::test]
async fn an_alarm_is_told_with_its_reason_and_its_datapoints() {
    let (status, body) = text("/api/v1/alarms/a%20%3Chot%3E%20one").await;
    assert_eq!(status, StatusCode::OK);
    let mut alarm: serde_json::Value = serde_json::from_str(&body).unwrap();
    let datapoints = alarm["evaluation"]["datapoints"].as_array_mut().unwrap();
    assert_eq!(datapoints.len(), 7, "the whole evaluation range");
    datapoints.truncate(1);
    let outlook = alarm["evaluation"]["outlook"].take();
    assert_eq!(outlook[0]["latest"], "1970-01-01T00:04:00Z");
    let history = alarm.as_object_mut().unwrap().remove("history").unwrap();
    alarm.as_object_mut().unwrap().remove("cloudwatch");
    let summary = |place: usize| &history[place]["HistorySummary"];
    assert_eq!(summary(0), "Alarm updated from INSUFFICIENT_DATA to ALARM");
    assert_eq!(summary(1), "Alarm \"a <hot> one\" created");
    expect![[r#"
        {
          "actions_enabled": false,
          "actions_muted_until": null,
          "actions_suppressed_by": null,
          "actions_suppressed_reason": null,
          "actions_suppressor_unknown": false,
          "alarm_actions": [],
          "arn": "arn:aws:cloudwatch:::alarm:a <hot> one",
          "certainty": "determined",
          "certainty_depends_on_ranges": null,
          "contributors": {},
          "definition": {
            "comparison_operator": "GreaterThanThreshold",
            "datapoints_to_alarm": null,
            "evaluation_periods": 2,
            "metric": "CWBridge m",
            "period": 60,
            "statistic": "Average",
            "threshold": 50.0,
            "treat_missing_data": "breaching",
            "unit": null
          },
          "description": null,
          "evaluated_at": "1970-01-01T00:03:00Z",
          "evaluation": {
            "datapoints": [
              {
                "breaching": true,
                "sample_count": 1.0,
                "timestamp": "1970-01-01T00:02:00Z",
                "value": 90.0
              }
            ],
            "datapoints_breaching": 2,
            "datapoints_filled": 0,
            "datapoints_used": 2,
            "outlook": null,
            "rule": "of the newest 2 datapoints 2 are breaching; ALARM needs 2"
          },
          "evaluation_state": null,
          "insufficient_data_actions": [],
          "mirrored": true,
          "name": "a <hot> one",
          "not_mirrored_reason": null,
          "ok_actions": [],
          "state": "ALARM",
          "state_reason": "Threshold Crossed: 1 datapoint [90.0 (01/01/70 00:00:00)] was greater than the threshold (50.0) and 1 missing datapoint was treated as [Breaching].",
          "state_reason_data": "{\"version\":\"1.0\",\"queryDate\":\"1970-01-01T00:01:00.000+0000\",\"startDate\":\"1970-01-01T00:00:00.000+0000\",\"statistic\":\"Average\",\"period\":60,\"recentDatapoints\":[90.0],\"threshold\":50.0,\"evaluatedDatapoints\":[{\"timestamp\":\"1970-01-01T00:00:00.000+0000\",\"sampleCount\":1.0,\"value\":90.0}]}",
          "state_transitioned_at": "1970-01-01T00:01:00Z"
        }"#]].assert_eq(&serde_json::to_string_pretty(&alarm).unwrap());
}

#[tokio::test]
async fn what_cloudwatch_says_of_an_alarm_is_told_with_it() {
    let one: serde_json::Value =
        serde_json::from_str(&text("/api/v1/alarms/a%20%3Chot%3E%20one").await.1).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text("/api/v1/alarms").await.1).unwrap();
    assert_eq!(all["alarms"][0]["cloudwatch"], one["cloudwatch"]);
    assert!(all["alarms"][1]["cloudwatch"].is_null());
    expect_test::expect![[r#"
        {
          "agrees": false,
          "asked_at": "1970-01-01T00:02:50Z",
          "disagreement": "data_not_arrived",
          "disagreement_reason": "data not yet arrived",
          "lead_seconds": null,
          "state": "OK",
          "state_reason": "Threshold Crossed: <none>",
          "state_transitioned_at": "1970-01-01T00:00:00Z"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&one["cloudwatch"]).unwrap());
}

#[tokio::test]
async fn all_alarms_are_listed() {
    let (_, body) = text("/api/v1/alarms").await;
    let list: serde_json::Value = serde_json::from_str(&body).unwrap();
    let summary = |alarm: &serde_json::Value| {
        [
            &alarm["name"],
            &alarm["state"],
            &alarm["not_mirrored_reason"],
        ]
        .map(ToString::to_string)
    };
    let summaries: Vec<_> = list["alarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(summary)
        .collect();
    assert_eq!(
        summaries,
        [
            ["\"a <hot> one\"", "\"ALARM\"", "null"],
            ["\"b\"", "null", "\"composite\""]
        ]
    );
}

#[tokio::test]
async fn the_page_shows_the_alarms_and_escapes_their_names() {
    let (status, page) = text("/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        page.contains("<a href=\"/api/v1/alarms/a%20%3Chot%3E%20one\">a &lt;hot&gt; one</a>"),
        "{page}"
    );
    assert!(page.contains("<td class=\"ALARM\">ALARM"), "{page}");
    let cloudwatch =
        "CloudWatch: <span class=\"OK\">OK</span> since 1970-01-01T00:00:00Z: data not yet arrived";
    assert!(page.contains(cloudwatch), "{page}");
    assert!(page.contains("not mirrored</td><td>composite"), "{page}");
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_missing() {
    assert_eq!(text("/api/v1/alarms/c").await, (StatusCode::NOT_FOUND, "{\n  \"error\": \"there is no alarm `c`; `/api/v1/alarms` lists those there are\"\n}\n".to_owned()));
    assert_eq!(text("/nothing").await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        text("/-/ready").await,
        (StatusCode::OK, api::readiness(None, &[]))
    );
}

/// Asks for a reload from an address, with headers, of a daemon that answers so.
async fn reload(
    peer: Option<&str>,
    headers: &[(&str, &str)],
    answer: Result<(), Vec<String>>,
) -> (u16, String) {
    let (_sender, shown) = watch::channel(None);
    let (reloads, mut requests) = mpsc::channel::<ReloadRequest>(1);
    let daemon = tokio::spawn(async move {
        if let Some(request) = requests.recv().await {
            request.answer.send(answer).unwrap();
        }
    });
    let mut request = Request::post("/-/reload");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (tests, _) = mpsc::channel(1);
    let mut router = router(Served::new(
        shown,
        reloads,
        tests,
        Events::default(),
        keeper(),
    ));
    if let Some(peer) = peer {
        router = router.layer(Extension(Peer(peer.parse().unwrap())));
    }
    let response = router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    daemon.abort();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    (parts.status.as_u16(), String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn a_reload_is_for_this_host_alone_and_for_no_page() {
    let problem = || Err(vec!["c.toml:1:1: no".to_owned()]);
    let (here, elsewhere) = (Some("127.0.0.1:5"), Some("192.0.2.1:5"));
    assert_eq!(reload(here, &[], Ok(())).await.0, 200);
    assert_eq!(
        reload(Some("[::ffff:127.0.0.1]:5"), &[], Ok(())).await.0,
        200
    );
    assert_eq!(reload(elsewhere, &[], Ok(())).await.0, 403);
    assert_eq!(reload(None, &[], Ok(())).await.0, 403);
    assert_eq!(
        reload(here, &[("origin", "https://example.com")], Ok(()))
            .await
            .0,
        403
    );
    let (status, body) = reload(here, &[], problem()).await;
    expect![[r#"
        422 {
          "error": "the configuration was not reloaded; the old one stays in force",
          "problems": [
            "c.toml:1:1: no"
          ]
        }
    "#]]
    .assert_eq(&format!("{status} {body}"));
    let (_, _, body) = request(None, "/-/reload", &[]).await;
    assert_eq!(body, b"", "it is not for reading");
}
