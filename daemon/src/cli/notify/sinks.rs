//! The sinks of a run, as they are configured.

use chrono::{DateTime, Utc};
use millrace_actors::delivery::endpoint::{Content, Endpoint, Filter, Service, Told};
use millrace_actors::delivery::sinks::Sinks;
use millrace_actors::delivery::sinks::destination::DestinationError;
use millrace_actors::job::run::{Named, Resumed};
use millrace_protocols::delivery::endpoint::Order;
use millrace_protocols::delivery::policy::Schedule;
use millrace_protocols::delivery::scheduler::Terms;
use millrace_protocols::webhook::sign::Signer;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::config::{Begin, ConfigError, JobSink, Layer, Loaded, Problem, Secret};
use crate::run;

/// All of them. An address that leads nowhere is a configuration that cannot be used.
pub(super) fn named(loaded: &Loaded, resumed: &[String], now: DateTime<Utc>) -> anyhow::Result<Vec<Named>> {
    let ways = run::sinks(&loaded.config)?;
    let all = loaded.config.job.sinks.iter().map(|sink| {
        let is_resumed = if resumed.contains(&sink.name) { Resumed::Yes } else { Resumed::No };
        named_one(&ways, sink, is_resumed, now).map_err(|error| problem(loaded, sink, &error))
    });
    let (made, problems): (Vec<_>, Vec<_>) = all.partition(Result::is_ok);
    let problems: Vec<_> = problems.into_iter().filter_map(Result::err).collect();
    if problems.is_empty() {
        return Ok(made.into_iter().filter_map(Result::ok).collect());
    }
    Err(ConfigError { problems }.into())
}

fn named_one(ways: &Sinks, sink: &JobSink, resumed: Resumed, now: DateTime<Utc>) -> Result<Named, DestinationError> {
    let to = sink.to.as_ref().map_or("", Secret::reveal);
    let endpoint = Endpoint {
        // No page of the desk's knows it: it is nobody's subscription.
        id: Uuid::nil(),
        destination: ways.parse(to)?,
        signer: Signer::new(&sink.keys().unwrap_or_default(), None).map_err(|_| DestinationError::Unfit)?,
        terms: Terms { schedule: Schedule::standard(), order: Order::Free, rate: None },
        filter: Filter { kinds: sink.events.iter().map(ToString::to_string).collect(), ..Filter::default() },
        content: Content::Json,
        service: Service::Running,
        begins_after: 0,
        told: Told::default(),
    };
    Ok(Named {
        name: sink.name.clone(),
        address_sha256: hex::encode(Sha256::digest(to)),
        sink: ways.sink(&endpoint)?,
        endpoint,
        since_ms: match sink.begin {
            Begin::Now => Some(now.timestamp_millis()),
            Begin::Beginning => None,
        },
        resumed,
    })
}

fn problem(loaded: &Loaded, sink: &JobSink, error: &DestinationError) -> Problem {
    let section = sink.section();
    let entry = loaded.entries.iter().find(|entry| entry.section == section && entry.key == "to");
    let origin = entry.map_or(Layer::Default, |entry| entry.origin.clone());
    Problem { origin, key: format!("{section}.to"), sentence: format!("leads nowhere: {error}") }
}
