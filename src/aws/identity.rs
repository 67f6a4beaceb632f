//! Which EC2 instance this is, and in which region.

use crate::finding::error_chain;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
const READ_TIMEOUT: Duration = Duration::from_millis(700);
/// For everything together: off EC2 nobody answers, and the start must not wait for long.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What the instance metadata service (IMDSv2) says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub id: String,
    pub region: Option<String>,
}

/// Asks the instance metadata service. `Err` says why there is no answer; off EC2 that is to be expected.
pub async fn instance() -> Result<Instance, String> {
    let ask = async {
        let client = imds::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .max_attempts(1)
            .build();
        let get = async |path: &str| client.get(path).await.map(String::from);
        let id = get("/latest/meta-data/instance-id")
            .await
            .map_err(|error| error_chain(&error))?;
        let region = get("/latest/meta-data/placement/region").await.ok();
        Ok(Instance { id, region })
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
