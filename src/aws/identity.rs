//! Which EC2 instance this is, and in which region.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds;
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
}

/// Asks the instance metadata service. `Err` says why there is no answer; off EC2 that is to be expected.
pub async fn instance() -> Result<Instance, String> {
    let ask = async {
        let client = client();
        let id = get(&client, "instance-id").await?;
        // What the instance may not see is no reason to be without the rest.
        let optional = async |path: &str| get(&client, path).await.ok();
        let region = optional("placement/region").await;
        let image_id = optional("ami-id").await;
        let instance_type = optional("instance-type").await;
        let availability_zone = optional("placement/availability-zone").await;
        let life_cycle = optional("instance-life-cycle").await;
        let tags = tags(&client).await;
        Ok(Instance {
            id,
            region,
            image_id,
            instance_type,
            availability_zone,
            life_cycle,
            account: account(&client).await,
            auto_scaling_group: tags.get(GROUP_TAG).cloned(),
            tags,
        })
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

/// Of the instance identity document.
async fn account(client: &imds::Client) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        account_id: String,
    }
    let answer = client
        .get("/latest/dynamic/instance-identity/document")
        .await;
    let document: Document = serde_json::from_str(&String::from(answer.ok()?)).ok()?;
    Some(document.account_id)
}

/// What EC2 is about to do with the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// `stop`, `hibernate` or `terminate`, and when.
    pub interruption: Option<(String, Timestamp)>,
    /// Since when it is at a higher risk of being interrupted.
    pub rebalance: Option<Timestamp>,
}

/// Asks whether a spot instance is about to be interrupted. Where nothing is said nothing is about to happen.
pub async fn notices() -> Notices {
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
        let client = client();
        let interruption = get(&client, "spot/instance-action").await.ok();
        let rebalance = get(&client, "events/recommendations/rebalance").await.ok();
        let interruption: Option<Interruption> =
            interruption.and_then(|text| serde_json::from_str(&text).ok());
        let rebalance: Option<Rebalance> =
            rebalance.and_then(|text| serde_json::from_str(&text).ok());
        Notices {
            interruption: interruption.and_then(|told| Some((told.action, at(&told.time)?))),
            rebalance: rebalance.and_then(|told| at(&told.notice_time)),
        }
    };
    tokio::time::timeout(TIMEOUT, ask).await.unwrap_or_default()
}

async fn get(client: &imds::Client, path: &str) -> Result<String, String> {
    let answer = client.get(format!("/latest/meta-data/{path}")).await;
    answer
        .map(String::from)
        .map_err(|error| error_chain(&error))
}

/// None where the instance's metadata options do not show tags.
async fn tags(client: &imds::Client) -> BTreeMap<String, String> {
    let names = get(client, "tags/instance").await.unwrap_or_default();
    let mut tags = BTreeMap::new();
    for name in names.lines().take(TAGS_MAX) {
        if let Ok(value) = get(client, &format!("tags/instance/{name}")).await {
            tags.insert(name.to_owned(), value);
        }
    }
    tags
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
