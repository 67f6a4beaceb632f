//! Which EC2 instance this is, and in which region.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::{self, client::error::ImdsError};
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;

use serde::Deserialize;

use crate::finding::error_chain;
use crate::metric::Timestamp;

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
const READ_TIMEOUT: Duration = Duration::from_millis(700);
/// For everything together: off EC2 nobody answers, and the start must not wait for long.
const TIMEOUT: Duration = Duration::from_secs(2);

/// An instance has at most so many tags.
const TAGS_MAX: usize = 50;

/// The tag by which Auto Scaling says which group an instance is of.
const GROUP_TAG: &str = "aws:autoscaling:groupName";

/// What the instance metadata service (IMDSv2) says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    pub id: String,
    pub region: Option<String>,
    pub image_id: Option<String>,
    pub instance_type: Option<String>,
    pub availability_zone: Option<String>,
    pub account: Option<String>,
    /// `on-demand`, `spot` or `scheduled`.
    pub life_cycle: Option<String>,
    /// By the instance's tags, where the instance may see them.
    pub auto_scaling_group: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// Why some of it is not known, if an answer failed to come: what is not there is another thing.
    pub unanswered: Option<String>,
    /// Why EC2 did not tell the tags, if it was asked and did not.
    pub no_tags: Option<String>,
}

/// The same, with the tags as EC2 tells them where the metadata service does not.
pub async fn instance_with_tags(
    region: Option<String>,
    now: Timestamp,
) -> Result<Instance, String> {
    let mut instance = instance().await?;
    let region = region.or_else(|| instance.region.clone());
    if let Some(region) = region.filter(|_| instance.tags.is_empty()) {
        match super::tags(&region, &instance.id, now).await {
            Ok(tags) => instance.has_tags(tags),
            Err(why) => instance.no_tags = Some(why),
        }
    }
    Ok(instance)
}

impl Instance {
    fn has_tags(&mut self, tags: BTreeMap<String, String>) {
        self.auto_scaling_group = tags.get(GROUP_TAG).cloned();
        self.tags = tags;
    }

    /// What was told before is what it has, where nothing is told now.
    pub fn keep_tags_of(&mut self, before: &Self) {
        if self.no_tags.take().is_some() {
            self.has_tags(before.tags.clone());
            self.no_tags.clone_from(&before.no_tags);
        }
    }
}

/// Asks the instance metadata service. `Err` says why there is no answer; off EC2 that is to be expected.
pub async fn instance() -> Result<Instance, String> {
    let ask = async {
        let mut asked = Asked {
            client: client(),
            unanswered: None,
        };
        let id = get(&asked.client, "/latest/meta-data/instance-id").await?;
        let id = id.ok_or("it does not know the instance's id")?;
        // What the instance may not see is no reason to be without the rest.
        let tags = asked.tags().await;
        let mut instance = Instance {
            id,
            region: asked.optional("placement/region").await,
            image_id: asked.optional("ami-id").await,
            instance_type: asked.optional("instance-type").await,
            availability_zone: asked.optional("placement/availability-zone").await,
            life_cycle: asked.optional("instance-life-cycle").await,
            account: asked.account().await,
            ..Instance::default()
        };
        instance.has_tags(tags);
        instance.unanswered = asked.unanswered;
        Ok(instance)
    };
    tokio::time::timeout(TIMEOUT, ask)
        .await
        .unwrap_or_else(|_| {
            Err(format!(
                "no answer within {}",
                humantime::format_duration(TIMEOUT)
            ))
        })
}

fn client() -> imds::Client {
    imds::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .max_attempts(1)
        .build()
}

/// Questions of which not every one may be answered.
struct Asked {
    client: imds::Client,
    unanswered: Option<String>,
}

impl Asked {
    async fn optional(&mut self, path: &str) -> Option<String> {
        self.at(&format!("/latest/meta-data/{path}")).await
    }

    async fn at(&mut self, path: &str) -> Option<String> {
        get(&self.client, path).await.unwrap_or_else(|error| {
            self.unanswered = Some(format!("{path}: {error}"));
            None
        })
    }

    /// Of the instance identity document.
    async fn account(&mut self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            account_id: String,
        }
        let text = self
            .at("/latest/dynamic/instance-identity/document")
            .await?;
        let document: Document = serde_json::from_str(&text).ok()?;
        Some(document.account_id)
    }

    /// None where the instance's metadata options do not show tags.
    async fn tags(&mut self) -> BTreeMap<String, String> {
        let names = self.optional("tags/instance").await.unwrap_or_default();
        let mut tags = BTreeMap::new();
        for name in names.lines().take(TAGS_MAX) {
            let value = self.optional(&format!("tags/instance/{name}")).await;
            tags.extend(value.map(|value| (name.to_owned(), value)));
        }
        tags
    }
}

/// What EC2 is about to do with the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// `stop`, `hibernate` or `terminate`, and when.
    pub interruption: Option<(String, Timestamp)>,
    /// Since when it is at a higher risk of being interrupted.
    pub rebalance: Option<Timestamp>,
}

/// Asks whether a spot instance is about to be interrupted. Where nothing is said nothing is about to happen; `None` if there is
/// no answer.
pub async fn notices() -> Option<Notices> {
    #[derive(Deserialize)]
    struct Interruption {
        action: String,
        time: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Rebalance {
        notice_time: String,
    }
    let at = |text: &str| {
        let at: jiff::Timestamp = text.parse().ok()?;
        Some(Timestamp::from_seconds(at.as_second()))
    };
    let ask = async {
        let mut asked = Asked {
            client: client(),
            unanswered: None,
        };
        let interruption = asked.optional("spot/instance-action").await;
        let rebalance = asked.optional("events/recommendations/rebalance").await;
        let interruption: Option<Interruption> =
            interruption.and_then(|text| serde_json::from_str(&text).ok());
        let rebalance: Option<Rebalance> =
            rebalance.and_then(|text| serde_json::from_str(&text).ok());
        asked.unanswered.is_none().then(|| Notices {
            interruption: interruption.and_then(|told| Some((told.action, at(&told.time)?))),
            rebalance: rebalance.and_then(|told| at(&told.notice_time)),
        })
    };
    tokio::time::timeout(TIMEOUT, ask).await.unwrap_or_default()
}

/// `None` for what is not there.
async fn get(client: &imds::Client, path: &str) -> Result<Option<String>, String> {
    match client.get(path).await {
        Ok(answer) => Ok(Some(String::from(answer))),
        Err(ImdsError::ErrorResponse(answer)) if answer.response().status().as_u16() == 404 => {
            Ok(None)
        }
        Err(error) => Err(brief(&error_chain(&error))),
    }
}

/// Without the whole answer, which the SDK writes out.
fn brief(error: &str) -> String {
    let end = error.find(". Response {").unwrap_or(error.len());
    error[..end].to_owned()
}

/// The region that the environment or the AWS profile sets.
pub async fn configured_region() -> Option<String> {
    let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new());
    let region = chain
        .region()
        .await
        .map(|region| region.as_ref().to_owned());
    region.filter(|region| !region.is_empty())
}
